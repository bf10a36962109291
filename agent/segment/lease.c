/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases: one connection a process, and what its end means
 *
 * The end of the socket says that no process has the lease any more: the kernel counts forked workers for us.
 * It does not say that the process is dead, because daemons close every descriptor they find. So at the end we
 * ask for the peer's pidfd: readable means dead, and everything it held goes at once; not readable means that
 * it lives on without its lease, and then the pidfd is watched in the socket's place. kill(0) and /proc
 * entries decide nothing: a zombie passes both.
 *
 * A lease that ended because its process became another program by exec() is an orphan after a grace, unless
 * the HELLO declared it. What is asked of the process itself is in lease_process.c.
 *
 * The ended socket of a process that we have no number for is kept, here and by the keeper: a successor can ask
 * nothing else for that process's pidfd.
 *
 * Order matters at the end of a socket: out of epoll, then the keeper drops its duplicate, then we close.
 * Watcher thread only.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

const char *lease_label(const struct lease *lease, char buf[64])
{
	snprintf(buf, 64, "pid=%d uid=%u program=%s", (int)lease->identity.pid, lease->identity.uid,
		 LOG_Q(lease->identity.program));
	return buf;
}

void lease_journal(struct lease *lease)
{
	const struct identity *id = &lease->identity;
	struct journal_lease rec = {
		.cookie = id->cookie,
		.start_ticks = id->start_ticks,
		.exe_dev = id->exe_dev,
		.exe_ino = id->exe_ino,
		.pid = id->pid,
		.uid = id->uid,
		.gid = id->gid,
		.flags = lease->flags,
		.netns = id->netns,
		.state = lease->state == LEASE_OPEN && !lease->welcomed ? LEASE_HOLDING
									: lease->state,
	};

	memcpy(rec.program, id->program, sizeof(rec.program));
	journal_failed(journal_put_lease(lease->watcher->journal, lease->index, &rec), "lease");
}

struct lease *lease_new(struct watcher *w, int fd, const struct identity *identity, int pidfd,
			uint32_t index)
{
	struct lease *lease = calloc(1, sizeof(*lease));
	int r = -ENOMEM;

	if (lease)
		r = index == UINT32_MAX ? numbered_add(&w->leases, lease, &lease->index)
					: numbered_add_at(&w->leases, lease, index);
	if (r < 0) {
		free(lease);
		return NULL;
	}
	if (index != UINT32_MAX)
		lease->index = index;
	lease->watcher = w;
	lease->fd = fd;
	lease->pidfd = pidfd;
	lease->watch = LOOP_NO_WATCH;
	lease->pid_watch = LOOP_NO_WATCH;
	lease->look_due_ms = CLOCK_NEVER;
	lease->exec_due_ms = CLOCK_NEVER;
	lease->mind_due_ms = CLOCK_NEVER;
	lease->hello_due_ms = CLOCK_NEVER;
	lease->identity = *identity;
	lease->state = LEASE_NEW;
	return lease;
}

int lease_watch(struct lease *lease)
{
	return loop_add(&lease->watcher->loop, lease->fd, EPOLLIN | EPOLLRDHUP, lease_events, lease,
			&lease->watch);
}

void lease_opened(struct lease *lease)
{
	lease->open = true;
	lease->watcher->n_open++;
}

void lease_count(struct watcher *w)
{
	atomic_store_explicit(&w->counts.leases, w->n_open, memory_order_relaxed);
}

/* It has sent as much as it may for the moment. The end of it is reported all the same. */
void lease_mute(struct lease *lease)
{
	struct watcher *w = lease->watcher;

	if (lease->muted || loop_modify(&w->loop, lease->watch, lease->fd, 0) < 0)
		return;
	lease->muted = true;
	TAILQ_INSERT_TAIL(&w->muted, lease, mute_entry);
	w->muted_due_ms = quota_window_end_ms(clock_now_ms());
}

static void unmute(struct lease *lease)
{
	if (!lease->muted)
		return;
	lease->muted = false;
	TAILQ_REMOVE(&lease->watcher->muted, lease, mute_entry);
}

/* In the order in which they were muted, so that whoever waits longest is first. */
void lease_unmute_all(struct watcher *w)
{
	struct lease *lease;

	w->muted_due_ms = CLOCK_NEVER;
	while ((lease = TAILQ_FIRST(&w->muted))) {
		unmute(lease);
		(void)loop_modify(&w->loop, lease->watch, lease->fd, EPOLLIN | EPOLLRDHUP);
	}
}

void lease_refused(struct watcher *w, struct quota_account *account, const struct identity *who,
		   enum quota_kind kind, const char *text)
{
	if (account)
		quota_note(account, kind, who->pid, who->program, text, clock_now_ms());
	atomic_fetch_add_explicit(&w->counts.turned_away, 1, memory_order_relaxed);
	log_warning("lease.refused", "pid=%d uid=%u program=%s reason=%s", (int)who->pid, who->uid,
		    LOG_Q(who->program), LOG_Q(text));
	if (w->options.event)
		w->options.event(w->options.event_ctx, "refused", NULL, text);
}

static void hear(struct lease *lease, uint32_t events)
{
	if (lease->state == LEASE_HOLDING) {
		/* Its HELLO waits in the socket for the keeper's word; only the end is news. */
		if (events & (EPOLLHUP | EPOLLERR))
			lease_ended(lease);
		return;
	}
	if (lease->muted && (events & (EPOLLHUP | EPOLLERR)))
		unmute(lease); /* nobody is left to send more: what is there is read to its end */
	if (!lease->muted && !handshake_read(lease))
		lease_ended(lease);
}

void lease_events(void *ctx, uint32_t events)
{
	struct lease *lease = ctx;

	log_about(lease->identity.uid);
	hear(lease, events);
	log_about_nobody();
}

/* Nothing comes from it any more. */
static void end_socket(struct lease *lease)
{
	struct watcher *w = lease->watcher;

	unmute(lease);
	loop_remove(&w->loop, &lease->watch, lease->fd);
	ONEBEAT_CRASH_POINT("agent.end.unwatched");
	if (lease->open)
		w->n_open--;
	lease->open = false;
	lease_count(w);
}

static void close_socket(struct lease *lease)
{
	struct watcher *w = lease->watcher;
	struct channel_msg drop = { .version = CHANNEL_VERSION,
				    .type = CHANNEL_DROP,
				    .kind = CHANNEL_LEASE,
				    .id = lease->identity.cookie };

	if (lease->fd < 0)
		return;
	end_socket(lease);
	if (lease->state != LEASE_NEW)
		(void)channel_send(w->link, &drop, -1); /* a keeper that is gone holds nothing */
	ONEBEAT_CRASH_POINT("agent.end.drop_sent");
	close(lease->fd);
	lease->fd = -1;
	ONEBEAT_CRASH_POINT("agent.end.closed");
}

static void lease_delete(struct lease *lease)
{
	struct watcher *w = lease->watcher;

	assert(!lease->slots);
	close_socket(lease);
	if (lease->pidfd >= 0) {
		loop_remove(&w->loop, &lease->pid_watch, lease->pidfd);
		close(lease->pidfd);
	}
	if (lease->view)
		listen_view_put(w->views, lease->view);
	if (lease->state != LEASE_NEW)
		journal_drop_lease(w->journal, lease->index);
	ONEBEAT_CRASH_POINT("agent.end.deleted");
	if (lease->account)
		quota_end(&w->quotas, lease->account, lease->state == LEASE_NEW);
	if (lease->domain)
		lease->domain->n_leases--;
	numbered_remove(&w->leases, lease->index);
	free(lease);
}

void lease_settle(struct lease *lease)
{
	if (lease->busy || lease->slots || lease->state == LEASE_OPEN ||
	    lease->state == LEASE_HOLDING)
		return;
	lease_delete(lease);
}

/* Tools are to see how it is held now. */
static void show_holds(struct lease *lease)
{
	for (const struct slot *s = lease->slots; s; s = s->lease_next) {
		if (s->state == SLOT_LIVE && s->instance)
			instance_decide(lease->watcher, s->instance);
	}
}

void lease_died(struct lease *lease)
{
	struct watcher *w = lease->watcher;
	char label[64];
	uint32_t n_lingering = 0;
	struct slot *next;

	close_socket(lease);
	log_info("lease.died", "%s", lease_label(lease, label));
	lease->busy = true;
	for (struct slot *s = lease->slots; s; s = next) {
		next = s->lease_next;
		if (s->state != SLOT_LIVE && s->state != SLOT_LOST)
			continue;
		s->lingers = gate_lingers(w, s);
		if (s->lingers) {
			s->instance->lingering_since_ms = clock_now_ms();
			n_lingering++;
		} else {
			hold_drop(w, s);
		}
	}
	lease->busy = false;
	ONEBEAT_CRASH_POINT("agent.death.dropped");
	lease->state = LEASE_ENDED;
	grant_reclaim(lease);
	ONEBEAT_CRASH_POINT("agent.death.reclaimed");
	if (n_lingering == 0) {
		lease_delete(lease);
		return;
	}
	lease_journal(lease);
	show_holds(lease);
	w->gate_due_ms = 0;
}

/* It lives on without its socket. */
static void watch_on(struct lease *lease)
{
	char label[64];

	lease->state = LEASE_WATCHED;
	lease_journal(lease);
	ONEBEAT_CRASH_POINT("agent.watch.journalled");
	end_socket(lease);
	if (lease_findable(lease))
		close_socket(lease);
	if (!lease_mind_process(lease)) {
		lease_died(lease);
		return;
	}
	ONEBEAT_CRASH_POINT("agent.watch.begun");
	lease_check_program(lease);
	show_holds(lease);
	if (!lease->said_goodbye)
		log_info("lease.detached", "%s next=\"its process is watched\"",
			 lease_label(lease, label));
}

void lease_ended(struct lease *lease)
{
	int r;

	ONEBEAT_CRASH_POINT("agent.end.seen");
	if (lease->state == LEASE_NEW || lease->state == LEASE_HOLDING) {
		grant_reclaim(lease); /* an adopted one may hold grants that no client has seen */
		lease_delete(lease);
		return;
	}
	r = lease_take_pidfd(lease);
	if (r == -ESRCH || (r == 0 && identity_life(lease->pidfd) == IDENTITY_DEAD))
		lease_died(lease);
	else
		watch_on(lease);
}
