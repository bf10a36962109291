/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watcher: the thread that knows who lives and what they said
 *
 * One epoll loop over the listening socket, the leases, pidfds, the keeper's channel, the sender's outcomes and
 * other threads' requests. Each turn drains the dirty bits; before it sleeps it says so in every segment and
 * looks once more, so that a writer either is seen or sees that it must ring. A sweep over pub words once a
 * second is the backstop for bits that a killed or hostile writer left wrong; with no lease open there is
 * nothing to sweep for, and the watcher sleeps until something happens.
 *
 * It is the only writer of dom2Beat, of status lines (but for the beat's time) and of all but the sender's part
 * of the journal. When the keeper's channel ends it returns at once: a new keeper may be starting, so nothing
 * is deregistered.
 */
#include "segment/watcher.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

#define LEAVE_MS 10000u /* for what a predecessor began */
#define SWEEP_MS 1000u
/* A lease's event may cost a tenth of a millisecond, and between two turns nobody's slots are looked at. */
#define EVENTS_PER_TURN 32

static void sweep(struct watcher *w, uint64_t now_ms)
{
	w->sweep_due_ms = now_ms + SWEEP_MS;
	looks_sweep(w);
}

static void on_outcomes(void *ctx, uint32_t events)
{
	struct watcher *w = ctx;
	struct beat *beat;
	bool returned;

	(void)events;
	beat_queue_drain_event(w->options.to_watcher);
	while ((beat = beat_pop_to_watcher(w->options.to_watcher, &returned)))
		instance_outcome(w, beat, returned);
}

static void keeper_gone(struct watcher *w)
{
	log_error("keeper.gone", "next=\"sending stops, nothing is deregistered\"");
	w->status = -EPIPE;
	ONEBEAT_CRASH_POINT("agent.link.ended");
	w->running = false;
}

/* For another agent, which adopts what we leave as it is. */
static void make_way(struct watcher *w)
{
	ONEBEAT_CRASH_POINT("agent.yield.heard");
	w->status = WATCHER_YIELDS;
	w->running = false;
}

void watcher_read_link(struct watcher *w)
{
	struct channel_msg msg;
	int fd = -1;
	int r;

	while ((r = channel_receive(w->link, &msg, &fd, MSG_DONTWAIT)) == 1) {
		if (fd >= 0)
			close(fd);
		if (msg.type == CHANNEL_HELD && msg.kind == CHANNEL_LEASE)
			handshake_held(w, msg.id, msg.status);
		else if (msg.type == CHANNEL_STOP)
			w->running = false;
		else if (msg.type == CHANNEL_YIELD)
			make_way(w);
		else if (msg.type == CHANNEL_ASK)
			w->options.asked(w->options.asked_ctx, msg.id);
		else if (msg.type == CHANNEL_REREAD && w->options.reread)
			w->options.reread(w->options.reread_ctx);
		ONEBEAT_CRASH_POINT("agent.link.read");
	}
	if (r != -EAGAIN)
		keeper_gone(w);
}

static void on_link(void *ctx, uint32_t events)
{
	(void)events;
	watcher_read_link(ctx);
}

static void on_calls(void *ctx, uint32_t events)
{
	struct watcher *w = ctx;

	(void)events;
	calls_run(&w->calls, w);
}

struct calls *watcher_calls(struct watcher *w)
{
	return &w->calls;
}

void watcher_stop(struct watcher *w)
{
	w->running = false;
}

static void drop_all_holds(struct watcher *w)
{
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		struct domain *d = w->domains[i];

		for (uint32_t s = 0; d && s < d->n_high; s++) {
			if (d->slots[s].state == SLOT_LIVE || d->slots[s].state == SLOT_LOST)
				hold_drop(w, &d->slots[s]);
		}
	}
}

static void mark_leaving(struct watcher *w, uint32_t mark)
{
	w->leave_mark = mark;
	journal_mark_adopting(w->journal, mark, ONEBEAT_NO_SLOT);
}

void watcher_leave(struct watcher *w, uint32_t time_ms,
		   void (*done)(void *ctx, uint32_t n_deregistered, uint32_t n_failed), void *ctx)
{
	if (w->leaving)
		return;    /* the first one's answer is for all */
	w->leaving = true; /* from here on nothing is accepted */
	w->leave_due_ms = clock_now_ms() + time_ms;
	w->leave_done = done;
	w->leave_ctx = ctx;
	w->n_leaving_at_first = w->instances.n_used;
	mark_leaving(w, JOURNAL_LEAVING);
	drop_all_holds(w);
	ONEBEAT_CRASH_POINT("agent.leave.dropped");
}

static void left_for_predecessor(void *ctx, uint32_t n_deregistered, uint32_t n_failed)
{
	(void)ctx;
	log_info("leave.finished", "deregistered=%u failed=%u", n_deregistered, n_failed);
}

/*
 * An agent that died while it left has deregistered instances whose processes live and believe themselves
 * registered, so there is no way back. With a new keeper there is: it was started to serve, and the processes
 * come to it with new leases.
 */
static void go_on_leaving(struct watcher *w)
{
	if (!w->leave_mark)
		return;
	if (w->options.manifest->n_restarts > 0)
		watcher_leave(w, LEAVE_MS, left_for_predecessor, NULL);
	else
		mark_leaving(w, 0);
}

static void check_leave(struct watcher *w, uint64_t now_ms)
{
	uint32_t left = w->instances.n_used;

	if (!w->leave_done || (left > 0 && now_ms < w->leave_due_ms))
		return;
	ONEBEAT_CRASH_POINT("agent.leave.done");
	mark_leaving(w, 0);
	w->leave_done(w->leave_ctx, w->n_leaving_at_first - left, left);
	w->leave_done = NULL;
	w->running = false;
}

struct refusal_out {
	void (*fn)(void *ctx, const struct watcher_refusal *r);
	void *ctx;
};

static void tell_slot(const struct slot *slot, const struct refusal_out *out)
{
	struct watcher_refusal r = {
		.uid = slot->domain->uid, .program = "", .service = "", .text = "", .n = 1
	};

	if (slot->lease) {
		r.pid = slot->lease->identity.pid;
		r.program = slot->lease->identity.program;
	}
	if (slot->descriptor)
		r.service = slot->descriptor->service;
	if (slot->why)
		r.text = slot->why;
	out->fn(out->ctx, &r);
}

static void tell_quota(void *ctx, uid_t uid, const struct quota_refusal *q)
{
	const struct refusal_out *out = ctx;
	const struct watcher_refusal r = { .pid = q->pid,
					   .uid = uid,
					   .program = q->program,
					   .service = "",
					   .text = q->text,
					   .n = q->n };

	out->fn(out->ctx, &r);
}

void watcher_each_refusal(struct watcher *w, void (*fn)(void *ctx, const struct watcher_refusal *r),
			  void *ctx)
{
	struct refusal_out out = { .fn = fn, .ctx = ctx };

	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		const struct domain *d = w->domains[i];

		for (uint32_t s = 0; d && s < d->n_high; s++) {
			if (d->slots[s].refused)
				tell_slot(&d->slots[s], &out);
		}
	}
	quota_each(&w->quotas, clock_now_ms(), tell_quota, &out);
}

const struct watcher_counts *watcher_counts(const struct watcher *w)
{
	return &w->counts;
}

struct journal *watcher_journal(struct watcher *w)
{
	return w->journal;
}

static void do_due(struct watcher *w, uint64_t now_ms)
{
	if (w->sweep_due_ms <= now_ms)
		sweep(w, now_ms);
	if (w->retry_due_ms <= now_ms)
		looks_retry(w);
	if (w->gate_due_ms <= now_ms)
		gate_round(w, now_ms);
	if (w->decide_due_ms <= now_ms)
		instance_round(w);
	if (w->muted_due_ms <= now_ms)
		lease_unmute_all(w);
	if (w->lease_due_ms <= now_ms)
		lease_round(w, now_ms);
	if (w->accept_due_ms <= now_ms)
		accept_resume(w);
	check_leave(w, now_ms);
}

static uint64_t earliest(struct watcher *w, uint64_t now_ms)
{
	const uint64_t dues[] = { w->n_open > 0 ? w->sweep_due_ms : CLOCK_NEVER,
				  w->retry_due_ms,
				  w->gate_due_ms,
				  w->decide_due_ms,
				  w->lease_due_ms,
				  w->accept_due_ms,
				  w->muted_due_ms,
				  w->leave_done ? w->leave_due_ms : CLOCK_NEVER };
	uint64_t due = looks_due_ms(w, now_ms);

	for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++)
		due = dues[i] < due ? dues[i] : due;
	return due;
}

int watcher_run(struct watcher *w)
{
	while (w->running) {
		uint64_t now_ms = clock_now_ms();
		int wait_ms, r;

		looks_drain(w, now_ms);
		do_due(w, now_ms);
		if (!w->running)
			break;
		looks_say_sleeping(w, true, now_ms);
		wait_ms = clock_wait_ms(now_ms, earliest(w, now_ms));
		ONEBEAT_CRASH_POINT("agent.sleep.looked");
		r = loop_turn(&w->loop, wait_ms);
		looks_say_sleeping(w, false, now_ms);
		if (r < 0) {
			log_error("watcher.loop", "error=%s", LOG_Q(strerror(-r)));
			w->status = r;
			break;
		}
	}
	calls_end(&w->calls);
	return w->status;
}

static int watch_all(struct watcher *w)
{
	int r = accept_start(w, w->clients);

	if (r == 0)
		r = loop_add(&w->loop, w->link, EPOLLIN, on_link, w, &w->link_watch);
	if (r == 0)
		r = loop_add(&w->loop, w->options.to_watcher->event_fd, EPOLLIN, on_outcomes, w,
			     &w->outcome_watch);
	if (r == 0)
		r = loop_add(&w->loop, w->calls.event_fd, EPOLLIN, on_calls, w, &w->calls_watch);
	return r;
}

/* Where SO_PEERPIDFD is missing, a lease costs a pidfd besides its socket. */
static void set_quotas(struct watcher *w, uint32_t per_lease)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	quotas_init(&w->quotas, &w->options.quotas, limit.rlim_cur, per_lease);
}

static bool holds_memory(const struct watcher *w)
{
	for (uint32_t i = 0; i < w->options.manifest->n_entries; i++) {
		if (w->options.entries[i].kind == CHANNEL_DATA)
			return true;
	}
	return false;
}

/*
 * While a predecessor's segments are held, its journal decides: another number of slots in the configuration
 * counts from the next start on, and of another layout we would make nothing, and break every lease.
 */
static int heed_predecessor(struct watcher *w)
{
	uint32_t n_slots;
	int found;

	if (!holds_memory(w))
		return 0;
	found = journal_look(w->options.runtime_dir, &n_slots);
	if (found == JOURNAL_OTHER) {
		log_error("journal.other", "error=\"another release has written it\" next=\"%s\"",
			  w->options.may_decline ? "left to that one" : "all register again");
		return w->options.may_decline ? -EPROTO : 0;
	}
	if (found == JOURNAL_READABLE && n_slots != w->options.n_slots) {
		log_warning("journal.slots",
			    "configured=%u in_force=%u next=\"changed by the next start\"",
			    w->options.n_slots, n_slots);
		w->options.n_slots = n_slots;
	}
	return 0;
}

static int prepare(struct watcher *w)
{
	int r = loop_init(&w->loop);

	w->loop.events_max = EVENTS_PER_TURN;

	if (r == 0)
		r = calls_init(&w->calls);
	if (r == 0)
		r = listen_views_new(&w->views);
	if (r == 0)
		r = heed_predecessor(w);
	if (r == 0)
		r = journal_open(&w->journal, w->options.runtime_dir, w->options.n_slots);
	if (r < 0)
		return r;
	set_quotas(w, identity_probe(w->options.force_pidfd_open) ? 1 : 2);
	if (!identity_has_pidfds())
		log_warning("identity.proc",
			    "error=\"this kernel, or the sandbox, gives no pidfd (Linux 5.3)\" "
			    "next=\"deaths are looked for in /proc and seen later\"");
	r = adopt_all(w);
	if (r < 0)
		return r;
	go_on_leaving(w);
	return watch_all(w);
}

int watcher_new(struct watcher **out, const struct watcher_options *options)
{
	struct watcher *w = calloc(1, sizeof(*w));
	int r;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	w->options = *options;
	w->loop = (struct loop)LOOP_NULL;
	w->link = w->clients = w->calls.event_fd = -1;
	w->clients_watch = w->link_watch = w->outcome_watch = w->calls_watch = LOOP_NO_WATCH;
	w->gate_due_ms = w->lease_due_ms = w->accept_due_ms = w->retry_due_ms = CLOCK_NEVER;
	w->muted_due_ms = w->decide_due_ms = CLOCK_NEVER;
	TAILQ_INIT(&w->muted);
	w->leases.max = JOURNAL_LEASES_MAX;
	w->instances.max = JOURNAL_INSTANCES_MAX;
	w->running = true;
	r = prepare(w);
	if (r < 0)
		w = watcher_free(w);
	*out = w;
	return r;
}

static void free_leases(struct watcher *w)
{
	for (uint32_t i = 0; i < w->leases.n_items; i++) {
		struct lease *lease = w->leases.items[i];

		if (!lease)
			continue;
		if (lease->fd >= 0)
			close(lease->fd);
		if (lease->pidfd >= 0)
			close(lease->pidfd);
		if (lease->view)
			listen_view_put(w->views, lease->view);
		free(lease);
	}
	numbered_deinit(&w->leases);
}

struct watcher *watcher_free(struct watcher *w)
{
	if (!w)
		return NULL;
	for (uint32_t i = 0; i < w->instances.n_items; i++) {
		if (w->instances.items[i])
			instance_discard(w, w->instances.items[i]);
	}
	numbered_deinit(&w->instances);
	free_leases(w);
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++)
		domain_free(w->domains[i]);
	quotas_deinit(&w->quotas);
	listen_views_free(w->views);
	journal_close(w->journal);
	loop_deinit(&w->loop);
	calls_deinit(&w->calls);
	if (w->clients >= 0)
		close(w->clients);
	if (w->link >= 0)
		close(w->link);
	free(w);
	return NULL;
}
