/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Through a stop and a start: the service manager's descriptor store
 *
 * A keeper that is told to stop gives memfds and leases to systemd, and the next one finds them among its
 * LISTEN_FDS: no process notices. What does not get there (no store, no room) is lost with us, and adopted by
 * its process's pid.
 *
 * Names come back in one environment variable, and the kernel takes no string longer than 128 KiB: with a name
 * each, some 6,000 leases would keep the service from starting at all. So all leases share one short name, and
 * which is which is asked of the socket (SO_COOKIE, which it keeps). FDPOLL=0 keeps a lease whose process dies
 * meanwhile in the store: its end is for the next agent to see.
 *
 * The manager's duplicate would keep a lease open that we close, so it is told to forget them, but not before
 * an agent has adopted: until then another start may need them.
 */
#include "keeper/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "keeper/notify.h"

#define NAME_LEASE "lease"
#define NAME_DATA "data."
#define NAME_STATUS "status."
#define NAME_MAX_SIZE 32
#define NAMES_MAX (96u * 1024) /* of the environment's 128 KiB; the rest is the sockets' */
#define BARRIER_MS 5000u

/* What there is a name for: settings are read anew by the next start. */
static bool is_memory(const struct manifest_entry *e)
{
	return e->kind == CHANNEL_DATA || e->kind == CHANNEL_STATUS;
}

static const char *name_of(const struct manifest_entry *e, char name[NAME_MAX_SIZE])
{
	if (e->kind == CHANNEL_LEASE)
		snprintf(name, NAME_MAX_SIZE, NAME_LEASE);
	else
		snprintf(name, NAME_MAX_SIZE, "%s%llu",
			 e->kind == CHANNEL_DATA ? NAME_DATA : NAME_STATUS,
			 (unsigned long long)e->id);
	return name;
}

static int store(const char *name, const int *fds, uint32_t n)
{
	char state[64 + NAME_MAX_SIZE];
	int r;

	snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	r = notify_manager_fds(state, fds, n);
	if (r == -ETOOMANYREFS && notify_barrier(BARRIER_MS) == 0)
		r = notify_manager_fds(state, fds, n); /* what was under way has arrived */
	ONEBEAT_CRASH_POINT("keeper.fdstore.sent");
	return r;
}

/* As many as go; *n_stored of them. 0 or a negative errno. */
static int store_memfds(const struct manifest_entry *list, uint32_t n, uint32_t room,
			uint32_t *n_stored)
{
	char name[NAME_MAX_SIZE];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n && *n_stored < room; i++) {
		if (!is_memory(&list[i]))
			continue;
		r = store(name_of(&list[i], name), &list[i].fd, 1);
		*n_stored += r == 0;
	}
	return r;
}

static int store_leases(const struct manifest_entry *list, uint32_t n, uint32_t room,
			uint32_t *n_stored)
{
	int fds[NOTIFY_FDS_MAX];
	uint32_t n_fds = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n && *n_stored + n_fds < room; i++) {
		if (list[i].kind != CHANNEL_LEASE)
			continue;
		fds[n_fds++] = list[i].fd;
		if (n_fds < NOTIFY_FDS_MAX)
			continue;
		r = store(NAME_LEASE, fds, n_fds);
		*n_stored += r == 0 ? n_fds : 0;
		n_fds = 0;
	}
	if (r == 0 && n_fds > 0) {
		r = store(NAME_LEASE, fds, n_fds);
		*n_stored += r == 0 ? n_fds : 0;
	}
	return r;
}

/* How many the manager keeps for us; 0: none. */
static uint32_t room_for(void)
{
	const char *text = getenv("FDSTORE");
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;
	const uint32_t bound = NAMES_MAX / sizeof(NAME_LEASE); /* the colon in place of the NUL */

	return n < bound ? (uint32_t)n : bound;
}

void fdstore_save(const struct holdings *h)
{
	CLEANUP(free_p) struct manifest_entry *list = calloc(h->n_held + 1, sizeof(*list));
	uint32_t room = room_for(), n_stored = 0;
	int r;

	if (room == 0 || h->n_held == 0 || !getenv("NOTIFY_SOCKET"))
		return;
	r = list ? 0 : -ENOMEM;
	if (r == 0) {
		holdings_list(h, list);
		r = store_memfds(list, h->n_held, room, &n_stored);
	}
	if (r == 0)
		r = store_leases(list, h->n_held, room, &n_stored);
	if (r == 0)
		r = notify_barrier(BARRIER_MS);
	ONEBEAT_CRASH_POINT("keeper.fdstore.saved");
	if (r < 0 || n_stored < h->n_held)
		log_warning("fdstore.partial",
			    "stored=%u of=%u room=%u error=%s next=\"the rest is adopted by pid\"",
			    n_stored, h->n_held, room, LOG_Q(r < 0 ? strerror(-r) : "no room"));
	else
		log_info("fdstore.saved", "stored=%u room=%u", n_stored, room);
}

static bool is_memfd(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t n = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &n) == 0 ? value : -1;
}

/* 0 when it can be no lease. */
static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);

	if (option(fd, SO_DOMAIN) != AF_UNIX || option(fd, SO_TYPE) != SOCK_SEQPACKET ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &n) < 0)
		return 0;
	return cookie;
}

static bool uid_behind(const char *name, const char *prefix, uint64_t *uid)
{
	size_t n = strlen(prefix);
	char *end;

	if (strncmp(name, prefix, n) != 0 || name[n] < '0' || name[n] > '9')
		return false;
	errno = 0;
	*uid = strtoull(name + n, &end, 10);
	return errno == 0 && *end == '\0';
}

/* What it is. False: none of ours. */
static bool recognise(const struct activation_fd *f, enum channel_kind *kind, uint64_t *id)
{
	if (strcmp(f->name, NAME_LEASE) == 0) {
		*kind = CHANNEL_LEASE;
		*id = cookie_of(f->fd);
		return *id != 0;
	}
	*kind = CHANNEL_DATA;
	if (uid_behind(f->name, NAME_DATA, id))
		return is_memfd(f->fd);
	*kind = CHANNEL_STATUS;
	return uid_behind(f->name, NAME_STATUS, id) && is_memfd(f->fd);
}

static void forget(const char *name)
{
	char state[300];

	snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%.255s", name);
	(void)notify_manager(state);
}

uint32_t fdstore_restore(struct activation *a, struct holdings *h)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n_fds; i++) {
		struct activation_fd *f = &a->fds[i];
		enum channel_kind kind;
		uint64_t id;

		if (f->fd < 0)
			continue;
		if (recognise(f, &kind, &id) && holdings_put(h, kind, id, f->fd) == 0) {
			n++;
		} else {
			log_warning("fdstore.foreign", "name=%s next=\"closed and forgotten\"",
				    LOG_Q(f->name));
			close(f->fd);
			if (strcmp(f->name, NAME_LEASE) != 0) /* its name is the good ones' too */
				forget(f->name);
		}
		f->fd = -1;
	}
	ONEBEAT_CRASH_POINT("keeper.fdstore.restored");
	if (n > 0)
		log_info("fdstore.restored", "held=%u", n);
	return n;
}

void fdstore_forget(const struct holdings *restored)
{
	CLEANUP(free_p)
	struct manifest_entry *list = calloc(restored->n_held + 1, sizeof(*list));
	char name[NAME_MAX_SIZE];

	forget(NAME_LEASE);
	if (!list)
		return; /* the memfds' names are written over at the next stop */
	holdings_list(restored, list);
	for (uint32_t i = 0; i < restored->n_held; i++) {
		if (is_memory(&list[i]))
			forget(name_of(&list[i], name));
	}
	ONEBEAT_CRASH_POINT("keeper.fdstore.forgotten");
}
