/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The puppet's commands on descriptors: listeners, and what a daemon does that closes all it finds and
 * gets the library's number again for something of its own.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/puppet.h"

static int listen_on(uint16_t port, uint16_t *out)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	*out = ntohs(at.sin_port);
	return fd;
}

static void do_listen(struct puppet *p, char **words)
{
	uint16_t port;
	int fd;

	if (p->n_listeners == PUPPET_LISTENERS_MAX) {
		puppet_refuse("too many listeners");
		return;
	}
	fd = listen_on((uint16_t)strtoul(words[0], NULL, 0), &port);
	if (fd < 0) {
		puppet_refuse("listen: %s", strerror(errno));
		return;
	}
	p->listeners[p->n_listeners++] = fd;
	puppet_ok("port=%u", port);
}

static void do_unlisten(struct puppet *p, char **words)
{
	(void)words;
	for (int i = 0; i < p->n_listeners; i++)
		close(p->listeners[i]);
	p->n_listeners = 0;
	puppet_ok("%s", "");
}

/* As daemons did before close_range(): every number that there could be. */
static int close_each(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	for (rlim_t fd = 3; fd < limit.rlim_cur; fd++)
		close((int)fd);
	return 0;
}

static void do_closeall(struct puppet *p, char **words)
{
	bool brute = words[0] && strcmp(words[0], "brute") == 0;

	if ((brute ? close_each() : close_range(3, ~0u, 0)) < 0) {
		puppet_refuse("close_range: %s", strerror(errno));
		return;
	}
	p->n_listeners = 0;
	p->n_ends = 0;
	puppet_ok("%s", "");
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool add_pair(struct puppet *p)
{
	struct stat st;
	int *ends = &p->ends[p->n_ends];

	if (p->n_ends + 2 > PUPPET_PAIRS_MAX ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return false;
	for (int i = 0; i < 2; i++) {
		if (fstat(ends[i], &st) < 0)
			return false;
		p->inodes[p->n_ends + i] = st.st_ino;
	}
	p->n_ends += 2;
	return true;
}

static void do_reuse(struct puppet *p, char **words)
{
	(void)words;
	if (p->lease < 0) {
		puppet_refuse("there has been no lease");
		return;
	}
	if (is_open(p->lease)) {
		puppet_refuse("number %d is not closed", p->lease);
		return;
	}
	while (!is_open(p->lease)) {
		if (!add_pair(p)) {
			puppet_refuse("socketpair: %s", strerror(errno));
			return;
		}
	}
	puppet_ok("fd=%d", p->lease);
}

/* How many of our ends are not what they were: closed, or something else by now. */
static int count_lost(const struct puppet *p)
{
	struct stat st;
	int n = 0;

	for (int i = 0; i < p->n_ends; i++)
		n += fstat(p->ends[i], &st) < 0 || st.st_ino != p->inodes[i];
	return n;
}

static void do_foreign(struct puppet *p, char **words)
{
	char bytes[8192];
	ssize_t n_all = 0;

	(void)words;
	for (int i = 0; i < p->n_ends; i++) {
		ssize_t n;

		while ((n = recv(p->ends[i], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
			n_all += n;
	}
	puppet_ok("bytes=%zd lost=%d", n_all, count_lost(p));
}

static bool is_socket(DIR *dir, const char *name)
{
	char target[64];
	ssize_t n = readlinkat(dirfd(dir), name, target, sizeof(target) - 1);

	return n > 0 && strncmp(target, "socket:", 7) == 0;
}

static void do_sockets(struct puppet *p, char **words)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	int n = 0;

	(void)p;
	(void)words;
	if (!dir) {
		puppet_refuse("/proc/self/fd: %s", strerror(errno));
		return;
	}
	while ((entry = readdir(dir)))
		n += strtol(entry->d_name, NULL, 10) > STDERR_FILENO &&
		     is_socket(dir, entry->d_name);
	closedir(dir);
	puppet_ok("count=%d", n);
}

const struct puppet_command puppet_numbers_commands[] = {
	{ "listen", 1, do_listen }, { "unlisten", 0, do_unlisten }, { "closeall", 0, do_closeall },
	{ "reuse", 0, do_reuse },   { "foreign", 0, do_foreign },   { "sockets", 0, do_sockets },
	{ NULL, 0, NULL },
};
