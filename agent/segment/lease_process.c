/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process behind a lease is up to
 *
 * Three things are asked of it beside its socket: whether it lives (its pidfd), whether it still runs the program
 * that registered, and whose listening sockets are its own (its network namespace). The pidfd alone decides over
 * life. It is taken when it is needed: for an owner's instance at once, else when the socket has ended. When the
 * kernel could not give one at that moment (no descriptor left), the lease is kept and it is asked for again.
 *
 * Watcher thread only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

#define MIND_MS 500u

static void note_due(struct watcher *w, uint64_t due_ms)
{
	if (due_ms < w->lease_due_ms)
		w->lease_due_ms = due_ms;
}

bool lease_findable(const struct lease *lease)
{
	return lease->identity.pid > 0 && lease->identity.start_ticks != 0;
}

/* The registering process has died while others hold its socket: what hung on itself alone goes. */
static void owner_died(struct lease *lease)
{
	struct slot *next;

	for (struct slot *s = lease->slots; s; s = next) {
		next = s->lease_next;
		if (s->state == SLOT_LIVE && s->policy == ONEBEAT_OWNER)
			hold_drop(lease->watcher, s);
	}
}

static void on_process(void *ctx, uint32_t events)
{
	struct lease *lease = ctx;

	(void)events;
	loop_remove(&lease->watcher->loop, &lease->pid_watch, lease->pidfd);
	ONEBEAT_CRASH_POINT("agent.process.ended");
	if (lease->state == LEASE_OPEN)
		owner_died(lease);
	else
		lease_died(lease);
}

int lease_take_pidfd(struct lease *lease)
{
	int fd;

	if (lease->pidfd >= 0)
		return 0;
	fd = lease->fd >= 0 ? identity_peer_pidfd(lease->fd) : -ENOPROTOOPT;
	if (fd == -ENOPROTOOPT)
		fd = identity_pidfd_of(lease->identity.pid, lease->identity.start_ticks);
	if (fd < 0)
		return fd;
	lease->pidfd = fd;
	lease->identity.birth = identity_birth(fd);
	return 0;
}

static int lease_watch_process(struct lease *lease)
{
	int r;

	if (lease->pid_watch != LOOP_NO_WATCH)
		return 0;
	r = lease_take_pidfd(lease);
	return r < 0 ? r
		     : loop_add(&lease->watcher->loop, lease->pidfd, EPOLLIN, on_process, lease,
				&lease->pid_watch);
}

/* Only "no such process" is death; when the kernel could not tell us, it is asked again. */
bool lease_mind_process(struct lease *lease)
{
	struct watcher *w = lease->watcher;
	bool again = lease->mind_due_ms != CLOCK_NEVER;
	int r = lease_watch_process(lease);
	char label[64];

	lease->mind_due_ms = CLOCK_NEVER;
	if (r == -ESRCH)
		return false;
	if (r < 0) {
		if (!again) /* it may be long until it works */
			log_warning("lease.unwatched", "%s error=%s next=\"asked every %u ms\"",
				    lease_label(lease, label), LOG_Q(strerror(-r)), MIND_MS);
		lease->mind_due_ms = clock_now_ms() + MIND_MS;
		note_due(w, lease->mind_due_ms);
	}
	return true;
}

void lease_watch_owner(struct lease *lease)
{
	for (const struct slot *s = lease->slots; s; s = s->lease_next) {
		if (s->state != SLOT_LIVE || s->policy != ONEBEAT_OWNER)
			continue;
		if (!lease_mind_process(lease))
			owner_died(lease);
		return;
	}
}

static bool has_holds(const struct lease *lease)
{
	for (const struct slot *s = lease->slots; s; s = s->lease_next) {
		if (s->state == SLOT_LIVE || s->state == SLOT_LOST)
			return true;
	}
	return false;
}

/*
 * An exec() that HELLO did not declare: what runs there now never asked to be registered. The end of the socket is
 * where it mostly shows; one that had closed everything before executes unheard, so it is looked at now and then.
 */
void lease_check_program(struct lease *lease)
{
	const uint64_t due_ms = clock_now_ms() + lease->watcher->options.exec_grace_ms;
	enum identity_life same;

	lease->look_due_ms = CLOCK_NEVER;
	if ((lease->flags & ONEBEAT_HELLO_ACROSS_EXEC) || !has_holds(lease))
		return;
	same = identity_same_program(&lease->identity);
	if (same == IDENTITY_DEAD)
		lease->exec_due_ms = due_ms;
	else if (same == IDENTITY_ALIVE)
		lease->look_due_ms = due_ms;
	if (same != IDENTITY_UNKNOWN)
		note_due(lease->watcher, due_ms);
}

void lease_await(struct lease *lease)
{
	char label[64];

	if (!has_holds(lease)) {
		lease_settle(lease);
		return;
	}
	log_info("lease.unknown", "%s next=\"deregistered unless it comes back within %u ms\"",
		 lease_label(lease, label), lease->watcher->options.exec_grace_ms);
	lease->exec_due_ms = clock_now_ms() + lease->watcher->options.exec_grace_ms;
	note_due(lease->watcher, lease->exec_due_ms);
}

/* Another program runs in that process, which never asked to be registered; or nobody can tell that it lives. */
static void orphan(struct lease *lease)
{
	char label[64];
	struct slot *next;

	lease->exec_due_ms = CLOCK_NEVER;
	log_info("lease.exec", "%s next=\"%s: deregistered\"", lease_label(lease, label),
		 lease_findable(lease) ? "another program runs there"
				       : "its process cannot be found and has not come back");
	lease->busy = true;
	for (struct slot *s = lease->slots; s; s = next) {
		next = s->lease_next;
		if (s->state == SLOT_LIVE || s->state == SLOT_LOST)
			hold_drop(lease->watcher, s);
	}
	lease->busy = false;
	ONEBEAT_CRASH_POINT("agent.orphan.dropped");
	lease_settle(lease);
}

static void hello_is_late(struct lease *lease)
{
	struct watcher *w = lease->watcher;
	char text[QUOTA_TEXT_MAX];

	snprintf(text, sizeof(text), "said no HELLO within %u ms (hello_timeout_ms)",
		 w->quotas.limits.hello_timeout_ms);
	lease_refused(w, lease->account, &lease->identity, QUOTA_HELLO, text);
	lease_ended(lease);
}

static void mind_again(struct lease *lease)
{
	if (lease_mind_process(lease))
		return;
	if (lease->state == LEASE_OPEN)
		owner_died(lease);
	else
		lease_died(lease);
}

void lease_round(struct watcher *w, uint64_t now_ms)
{
	w->lease_due_ms = CLOCK_NEVER;
	for (uint32_t i = 0; i < w->leases.n_items; i++) {
		struct lease *lease = w->leases.items[i];

		if (lease && lease->state == LEASE_NEW && lease->hello_due_ms <= now_ms)
			hello_is_late(lease);
		lease = w->leases.items[i];
		if (lease && lease->exec_due_ms <= now_ms)
			orphan(lease);
		lease = w->leases.items[i];
		if (lease && lease->mind_due_ms <= now_ms)
			mind_again(lease);
		lease = w->leases.items[i];
		if (!lease)
			continue;
		if (lease->look_due_ms <= now_ms)
			lease_check_program(lease);
		if (lease->state == LEASE_NEW)
			note_due(w, lease->hello_due_ms);
		note_due(w, lease->look_due_ms);
		note_due(w, lease->exec_due_ms);
		note_due(w, lease->mind_due_ms);
	}
}

/* By number, so only if what has the number is that process; its network namespace may have changed since. */
static struct listen_view *shown_view(struct lease *lease)
{
	struct watcher *w = lease->watcher;
	struct listen_view *view = NULL;

	errno = ESRCH;
	if (lease_findable(lease))
		view = listen_view_get(w->views, lease->identity.pid);
	if (view && !identity_shown(&lease->identity))
		view = listen_view_put(w->views, view);
	return view;
}

/*
 * A process that is gone, or that we do not see, shows us its network namespace not. When it was ours, we know it
 * all the same, and the journal tells a successor.
 */
struct listen_view *lease_view(struct lease *lease)
{
	struct watcher *w = lease->watcher;
	struct identity *id = &lease->identity;

	if (lease->view)
		return lease->view;
	lease->view = shown_view(lease);
	if (!lease->view && id->netns == IDENTITY_NETNS_OURS)
		lease->view = listen_view_get(w->views, getpid());
	if (lease->view && listen_view_is_ours(lease->view) && id->netns != IDENTITY_NETNS_OURS) {
		id->netns = IDENTITY_NETNS_OURS;
		if (lease->state != LEASE_NEW)
			lease_journal(lease);
	}
	return lease->view;
}

bool lease_is_elsewhere(struct lease *lease)
{
	const struct listen_view *view = lease_view(lease);

	return view ? !listen_view_is_ours(view) : lease->identity.netns == IDENTITY_NETNS_OTHER;
}

bool lease_is_hidden(struct lease *lease)
{
	if (lease->identity.netns != IDENTITY_NETNS_OTHER || lease_view(lease))
		return false;
	return errno == ESRCH || errno == ENOENT || errno == EACCES || errno == EXDEV;
}
