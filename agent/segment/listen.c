/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who listens
 *
 * An instance stands for a port on which something listens, so that is looked at from outside, in
 * the client's network namespace: /proc/PID/net/tcp and tcp6 list its sockets, and need neither a
 * privilege nor help from the client. The kernel prints listening sockets (state 0A) ahead of all
 * others (net/ipv4/tcp_ipv4.c walks the listening hash first, the established one after it; seen so
 * on 6.18 with hundreds of listeners, connections and closing connections mixed), so reading stops
 * at the first row of another state: the cost is that of the listeners, not of the connections, of
 * which a server may have a hundred thousand.
 *
 * Any local address counts: which one the registry is told is another question.
 *
 * The tables come in pieces of a page, between which listeners may come and go, and a row can then
 * be passed over. Where a table takes more than one piece, "nobody listens" is believed only after
 * a second reading.
 *
 * A view is one namespace, known by device and inode of its nsfs file. The open tables keep the
 * namespace in being, so the inode stands for this one as long as the view lives, and they can be
 * read when the process is gone. Ports are a bitmap of 8 KiB: there are few namespaces, and a
 * question costs one look.
 */
#include "segment/listen.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "segment/proc.h"

#define STATE_LISTEN 0x0au
/*
 * Less than the page that the kernel prints at a time: rows are cut here, and not on some machines
 * only.
 */
#define PIECE 2048
#define N_PORTS 65536u

enum table {
	TABLE_TCP,
	TABLE_TCP6,
	N_TABLES
};

static const char *const table_names[N_TABLES] = { "net/tcp", "net/tcp6" };

struct listen_view {
	struct listen_view *next;
	const struct listen_views *views;
	uint32_t n_refs;
	dev_t dev;
	ino_t ino;
	int fds[N_TABLES]; /* tcp6: -1 where there is no IPv6 */
	uint64_t round;    /* in which the following was read; 0: never */
	int error;
	bool in_pieces;
	bool twice;
	uint64_t ports[N_PORTS / 64];
};

struct listen_views {
	struct listen_view *first;
	uint64_t round;
	dev_t our_dev;
	ino_t our_ino;
};

int listen_views_new(struct listen_views **out)
{
	struct listen_views *views;
	struct stat st;

	*out = NULL;
	if (stat("/proc/self/ns/net", &st) < 0)
		return -errno;
	views = calloc(1, sizeof(*views));
	if (!views)
		return -ENOMEM;
	views->round = 1;
	views->our_dev = st.st_dev;
	views->our_ino = st.st_ino;
	*out = views;
	return 0;
}

struct listen_views *listen_views_free(struct listen_views *views)
{
	assert(!views || !views->first);
	free(views);
	return NULL;
}

static void view_free(struct listen_view *view)
{
	for (int i = 0; i < N_TABLES; i++)
		close_fdp(&view->fds[i]);
	free(view);
}

static struct listen_view *find(const struct listen_views *views, const struct stat *ns)
{
	for (struct listen_view *v = views->first; v; v = v->next) {
		if (v->dev == ns->st_dev && v->ino == ns->st_ino)
			return v;
	}
	return NULL;
}

static int open_tables(int dir, int fds[N_TABLES])
{
	for (int i = 0; i < N_TABLES; i++) {
		fds[i] = openat(dir, table_names[i], O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0 && (i == TABLE_TCP || errno != ENOENT))
			return -errno;
	}
	return 0;
}

/*
 * ns: the namespace that dir's process is in. It may move to another one at any time: looked at
 * before and after.
 */
static int view_new(struct listen_views *views, int dir, const struct stat *ns,
		    struct listen_view **out)
{
	struct listen_view *view = calloc(1, sizeof(*view));
	struct stat after;
	int r;

	if (!view)
		return -ENOMEM;
	for (int i = 0; i < N_TABLES; i++)
		view->fds[i] = -1;
	r = open_tables(dir, view->fds);
	if (r == 0 && fstatat(dir, "ns/net", &after, 0) < 0)
		r = -errno;
	if (r == 0 && (after.st_dev != ns->st_dev || after.st_ino != ns->st_ino))
		r = -EAGAIN;
	if (r < 0) {
		view_free(view);
		return r;
	}
	view->views = views;
	view->dev = ns->st_dev;
	view->ino = ns->st_ino;
	view->next = views->first;
	views->first = view;
	*out = view;
	return 0;
}

struct listen_view *listen_view_get(struct listen_views *views, pid_t pid)
{
	CLEANUP(close_fdp) int dir = pid > 0 ? proc_open(pid) : -ESRCH;
	struct listen_view *view;
	struct stat ns;
	int r = 0;

	if (dir < 0) {
		errno = -dir;
		return NULL;
	}
	if (fstatat(dir, "ns/net", &ns, 0) < 0)
		return NULL;
	view = find(views, &ns);
	if (!view)
		r = view_new(views, dir, &ns, &view);
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	view->n_refs++;
	return view;
}

struct listen_view *listen_view_put(struct listen_views *views, struct listen_view *view)
{
	struct listen_view **at = &views->first;

	if (!view || --view->n_refs > 0)
		return NULL;
	while (*at != view)
		at = &(*at)->next;
	*at = view->next;
	view_free(view);
	return NULL;
}

bool listen_view_is_ours(const struct listen_view *view)
{
	return view->dev == view->views->our_dev && view->ino == view->views->our_ino;
}

void listen_round(struct listen_views *views)
{
	views->round++;
}

/* 1: a listener, added; 0: listeners are over; -EBADMSG. */
static int take_row(struct listen_view *view, const char *row)
{
	unsigned int port, state;

	/* "   0: 0100007F:1F90 00000000:0000 0A ..." */
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own text, and the widths bound the numbers */
	if (sscanf(row, " %*u: %*[0-9A-F]:%4x %*[0-9A-F]:%*4x %2x", &port, &state) != 2)
		return -EBADMSG;
	if (state != STATE_LISTEN)
		return 0;
	view->ports[port / 64] |= UINT64_C(1) << port % 64;
	return 1;
}

/* Takes the whole rows from the text, moves what is left of it to the front. As take_row(). */
static int take_rows(struct listen_view *view, char *text, size_t *n, bool *at_head)
{
	char *row = text;
	char *end;
	int r = 1;

	while (r == 1 && (end = memchr(row, '\n', *n - (size_t)(row - text)))) {
		*end = '\0';
		if (!*at_head)
			r = take_row(view, row);
		*at_head = false;
		row = end + 1;
	}
	*n -= (size_t)(row - text);
	memmove(text, row, *n);
	return r;
}

static int read_table(struct listen_view *view, int fd)
{
	char text[PIECE];
	size_t n_left = 0;
	bool at_head = true;
	off_t at = 0;
	int r = 1;

	while (r == 1) {
		ssize_t n = pread(fd, text + n_left, sizeof(text) - n_left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (at > 0)
			view->in_pieces = true;
		at += n;
		n_left += (size_t)n;
		r = take_rows(view, text, &n_left, &at_head);
		if (r == 1 && n_left == sizeof(text))
			return -EBADMSG; /* no row is as long as that */
	}
	return r;
}

/* Adds what listens to the ports. */
static void read_tables(struct listen_view *view)
{
	view->error = 0;
	for (int i = 0; i < N_TABLES && view->error == 0; i++) {
		if (view->fds[i] >= 0)
			view->error = read_table(view, view->fds[i]);
	}
}

static bool has_port(const struct listen_view *view, uint16_t port)
{
	return view->ports[port / 64] >> port % 64 & 1;
}

int listen_on(struct listen_view *view, uint16_t port)
{
	if (view->round != view->views->round) {
		memset(view->ports, 0, sizeof(view->ports));
		view->in_pieces = false;
		view->twice = false;
		read_tables(view);
		view->round = view->views->round;
	}
	if (view->error == 0 && !has_port(view, port) && view->in_pieces && !view->twice) {
		read_tables(view);
		view->twice = true;
	}
	return view->error < 0 ? view->error : has_port(view, port);
}
