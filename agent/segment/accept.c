/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting: who may come in
 *
 * Anybody on the host may connect, so nothing is spent on a connection before its uid is known to have one left:
 * /proc is read, a lease made and a watch set only then. Who has too many that say nothing is turned away at the
 * door, with a message; who has too many leases is told so in answer to its HELLO (handshake.c), because only
 * then its library knows which call the answer is for. A connection that says nothing for hello_timeout_ms is
 * closed: a library says HELLO in the same breath.
 *
 * Descriptors that clients pass along are refused by the kernel where it can (SO_PASSRIGHTS, Linux 6.16):
 * dropping one is to close it, and to close somebody's TCP socket with SO_LINGER can take as long as he likes.
 *
 * Watcher thread only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define ACCEPT_BURST 16 /* in a turn: each may cost a twentieth of a millisecond */
#define ACCEPT_PAUSE_MS 100u
#define HELLO_STEP_MS 250u /* silent connections are looked for at most so often */
#define DRAIN_MAX 16       /* messages of one that is turned away */

/* What lies unread when a socket is closed makes the other end forget what it was told last. */
void accept_drain(int fd)
{
	char byte;

	for (int i = 0; i < DRAIN_MAX && recv(fd, &byte, 1, MSG_DONTWAIT) > 0; i++)
		continue;
}

static void turn_away(struct watcher *w, int fd, struct identity *peer,
		      struct quota_account *account, enum quota_kind kind, const char *text)
{
	bool seldom = !account || account->refusals[kind].last_ms + 1000 < clock_now_ms();

	if (seldom)
		(void)identity_refresh(peer); /* its name, for the operator */
	accept_drain(fd);
	handshake_refuse(fd, ONEBEAT_REASON_QUOTA, 0, text);
	lease_refused(w, account, peer, kind, text);
	close(fd);
}

static struct lease *admit(struct watcher *w, int fd, struct quota_account *account)
{
	struct lease *lease = NULL;
	struct identity id;
	int pidfd = -1;
	int r = identity_of_peer(fd, &id, &pidfd);

	ONEBEAT_CRASH_POINT("agent.accept.identified");
	if (r >= 0)
		lease = lease_new(w, fd, &id, pidfd, UINT32_MAX);
	if (lease && lease_watch(lease) == 0) {
		lease->account = account;
		return lease;
	}
	log_warning("lease.refused", "error=%s", LOG_Q(strerror(r < 0 ? -r : ENOMEM)));
	if (lease)
		numbered_remove(&w->leases, lease->index);
	free(lease);
	if (pidfd >= 0)
		close(pidfd);
	return NULL;
}

static void note_hello_due(struct watcher *w, struct lease *lease)
{
	uint64_t due_ms = clock_now_ms() + w->quotas.limits.hello_timeout_ms;

	lease->hello_due_ms = due_ms - due_ms % HELLO_STEP_MS + HELLO_STEP_MS;
	if (lease->hello_due_ms < w->lease_due_ms)
		w->lease_due_ms = lease->hello_due_ms;
}

static void accept_one(struct watcher *w, int fd)
{
	struct quota_account *account;
	char text[QUOTA_TEXT_MAX];
	struct identity peer;
	enum quota_kind kind;
	struct lease *lease;

	if (identity_credentials(fd, &peer) < 0) {
		close(fd);
		return;
	}
	log_about(peer.uid);
	account = quota_account(&w->quotas, peer.uid, clock_now_ms());
	if (!account) {
		turn_away(w, fd, &peer, NULL, QUOTA_LEASES,
			  "more users at a time than the agent keeps account of");
		return;
	}
	if (!quota_connect(&w->quotas, account, text, &kind)) {
		turn_away(w, fd, &peer, account, kind, text);
		return;
	}
	lease = admit(w, fd, account);
	if (!lease) {
		quota_end(&w->quotas, account, true);
		close(fd);
		return;
	}
	note_hello_due(w, lease);
	lease_opened(lease);
	lease_count(w);
	ONEBEAT_CRASH_POINT("agent.accept.watched");
}

/* Level-triggered epoll would spin on a connection that cannot be accepted: look away for a moment. */
static void pause_accept(struct watcher *w, int error)
{
	log_error("lease.accept", "error=%s next=\"again in %u ms\"", LOG_Q(strerror(error)),
		  ACCEPT_PAUSE_MS);
	w->accept_due_ms = clock_now_ms() + ACCEPT_PAUSE_MS;
	loop_remove(&w->loop, &w->clients_watch, w->clients);
}

static void on_clients(void *ctx, uint32_t events)
{
	struct watcher *w = ctx;

	(void)events;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(w->clients, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			ONEBEAT_CRASH_POINT("agent.accept.accepted");
			accept_one(w, fd);
			log_about_nobody();
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accept(w, errno);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

int accept_start(struct watcher *w, int fd)
{
	const int no = 0;

	/* Inherited by what is accepted. Unknown to older kernels: then it cannot be helped here. */
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
	w->clients = fd;
	return loop_add(&w->loop, fd, EPOLLIN, on_clients, w, &w->clients_watch);
}

void accept_resume(struct watcher *w)
{
	w->accept_due_ms = CLOCK_NEVER;
	if (accept_start(w, w->clients) < 0)
		w->accept_due_ms = clock_now_ms() + ACCEPT_PAUSE_MS;
}
