/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sender: the thread that speaks to the registries
 *
 * It takes wishes from the watcher, asks each instance's state machine what to send, gives it to the instance's
 * registry, and hands outcomes back. Beats that fall due in one wheel tick are queued first and written together.
 *
 * A beat (the struct) belongs to the sender from the moment it is popped until it is pushed back as the last
 * word: machine GONE, nothing in flight, off the wheel. The watcher may free it then.
 *
 * The journal learns of a POST or DELETE before it leaves.
 */
#include "http/sender.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "beat/container.h"
#include "http/registry.h"
#include "http/verdict.h"
#include <onebeat/crashpoint.h>

#define TICK_MAX 8192u /* beats a turn: a backlog is worked off between looks at the queues */

struct sender {
	struct sender_options options;
	struct loop loop;
	struct wheel wheel;
	struct registry *registries;
	uint32_t n_registries;
	struct calls calls;
	uint64_t queue_watch;
	uint64_t calls_watch;
	_Atomic bool running;
};

static struct registry *registry_of(struct sender *s, const struct beat *beat)
{
	assert(beat->registry < s->n_registries);
	return &s->registries[beat->registry];
}

static struct beat *beat_of(struct wheel_node *node)
{
	return container_of(node, struct beat, wheel);
}

static void tell_journal(struct sender *s, const struct beat *beat)
{
	struct sender_progress progress = {
		.posted = beat->machine.posted,
		.acked = beat->machine.acked,
		.delete_attempted = beat->delete_attempted,
	};

	s->options.progress(s->options.ctx, beat, &progress);
}

/* A request that never left for want of memory is as good as lost in a refused connection: tried again. */
static void not_submitted(struct sender *s, struct beat *beat, uint32_t serial)
{
	log_error("sender.memory", "next=\"tried again\"");
	beat->n_inflight--;
	machine_reply(&beat->machine, serial, MACHINE_FAILED, 0, clock_now_ms());
	registry_count(&registry_of(s, beat)->counts.requests_failed);
}

static void send_write(struct sender *s, struct beat *beat, enum machine_request what,
		       uint32_t serial)
{
	ONEBEAT_CRASH_POINT(what == MACHINE_POST ? "agent.post.decided" : "agent.delete.decided");
	beat->delete_attempted = what == MACHINE_DELETE;
	tell_journal(s, beat);
	ONEBEAT_CRASH_POINT(what == MACHINE_POST ? "agent.post.journalled"
						 : "agent.delete.journalled");
	beat->n_inflight++;
	if (registry_write(registry_of(s, beat), beat, what, serial) < 0)
		not_submitted(s, beat, serial);
	ONEBEAT_CRASH_POINT(what == MACHINE_POST ? "agent.post.submitted"
						 : "agent.delete.submitted");
}

static void send_beat(struct sender *s, struct beat *beat, enum machine_request what,
		      uint32_t serial)
{
	int r;

	ONEBEAT_CRASH_POINT("agent.beat.decided");
	r = registry_beat(registry_of(s, beat), beat, what, serial);
	beat->n_inflight++;
	if (r < 0)
		not_submitted(s, beat, serial);
	ONEBEAT_CRASH_POINT("agent.beat.submitted");
}

static void store_public(struct beat *beat, uint64_t now_ms, bool *changed)
{
	const struct machine *m = &beat->machine;

	*changed = false;
	if (atomic_load_explicit(&beat->state, memory_order_relaxed) != machine_state(m)) {
		atomic_store_explicit(&beat->state, machine_state(m), memory_order_relaxed);
		*changed = true;
	}
	if (atomic_load_explicit(&beat->acked, memory_order_relaxed) != m->acked) {
		atomic_store_explicit(&beat->acked, m->acked, memory_order_relaxed);
		*changed = true;
	}
	if (atomic_load_explicit(&beat->rejected, memory_order_relaxed) != m->rejected) {
		atomic_store_explicit(&beat->rejected, m->rejected, memory_order_relaxed);
		*changed = true;
	}
	if (*changed)
		atomic_store_explicit(&beat->since_ms, now_ms, memory_order_relaxed);
}

/* Gives it back for good. Nothing of it is touched afterwards. */
static void let_go(struct sender *s, struct beat *beat)
{
	wheel_clear(&s->wheel, &beat->wheel);
	beat_push_to_watcher(s->options.to_watcher, beat, true);
	ONEBEAT_CRASH_POINT("agent.gone.said");
}

static void note_due(struct sender *s, struct beat *beat)
{
	uint64_t due_ms = machine_beat_due_ms(&beat->machine);

	if (due_ms == beat->noted_due_ms)
		return;
	beat->noted_due_ms = due_ms;
	s->options.due(s->options.ctx, beat, due_ms);
}

/* What all instances may have to send at once waits for its turn. */
static void await_turn(struct sender *s, struct beat *beat, uint64_t now_ms)
{
	enum machine_pace pace = machine_pace(&beat->machine, now_ms);

	if (pace != MACHINE_AT_ONCE)
		machine_hold(&beat->machine, registry_turn(registry_of(s, beat), pace, now_ms));
}

/* Sends what is due and says what became of it. force: the watcher is owed a word in any case. */
static void step(struct sender *s, struct beat *beat, bool force)
{
	uint64_t now_ms = clock_now_ms();
	enum machine_request what;
	uint32_t serial;
	bool changed;

	await_turn(s, beat, now_ms);
	while ((what = machine_take(&beat->machine, now_ms, &serial)) != MACHINE_NONE) {
		if (what == MACHINE_BEAT || what == MACHINE_FULL_BEAT)
			send_beat(s, beat, what, serial);
		else
			send_write(s, beat, what, serial);
	}
	store_public(beat, now_ms, &changed);
	if (machine_state(&beat->machine) == MACHINE_GONE && beat->n_inflight == 0) {
		let_go(s, beat);
		return;
	}
	note_due(s, beat);
	wheel_set(&s->wheel, &beat->wheel, machine_due_ms(&beat->machine));
	if (changed || force)
		beat_push_to_watcher(s->options.to_watcher, beat, false);
}

/* A full beat does not say that its instance is disabled, and would enable it if the registry lost it. */
static enum machine_kind kind_of(const struct registry *r, const struct descriptor *d)
{
	if (!d->ephemeral)
		return MACHINE_PERSISTENT;
	return r->options.beats == REGISTRY_BEATS_FULL && d->enabled ? MACHINE_FULL : MACHINE_LIGHT;
}

/* Nobody's any more, and meant to outlive its process. A DELETE that its process asked for goes on. */
static bool stays(const struct registry *r, const struct beat *beat, enum machine_kind kind)
{
	return kind == MACHINE_PERSISTENT && r->options.persistent_keep &&
	       atomic_load_explicit(&beat->orphaned, memory_order_relaxed) &&
	       !(beat->adopted && beat->past.delete_attempted);
}

static void take_wish(struct sender *s, struct beat *beat)
{
	uint32_t want = atomic_load_explicit(&beat->want_version, memory_order_relaxed);
	uint64_t now_ms = clock_now_ms();
	const struct descriptor *d;
	enum machine_kind kind;
	uint32_t period_ms;

	ONEBEAT_CRASH_POINT("agent.wish.taken");
	rcu_read_lock();
	d = rcu_dereference(beat->node)->descriptor;
	period_ms = d->beat_ms;
	kind = kind_of(registry_of(s, beat), d);
	rcu_read_unlock();
	if (want == 0 && stays(registry_of(s, beat), beat, kind)) {
		beat->adopted = false;
		machine_forget(&beat->machine);
	} else if (beat->adopted) {
		beat->adopted = false;
		beat->delete_attempted = beat->past.delete_attempted;
		machine_adopt(&beat->machine, &beat->past, want, period_ms, kind, period_ms,
			      now_ms);
	} else if (want > 0) {
		machine_want(&beat->machine, want, period_ms, kind, now_ms);
	} else {
		machine_leave(&beat->machine, now_ms);
	}
	step(s, beat, true);
}

static void flush_all(struct sender *s, uint64_t now_ms)
{
	for (uint32_t i = 0; i < s->n_registries; i++)
		registry_flush(&s->registries[i], now_ms);
}

static void on_wishes(void *ctx, uint32_t events)
{
	struct sender *s = ctx;
	struct beat *beat;

	(void)events;
	beat_queue_drain_event(s->options.to_sender);
	while ((beat = beat_pop_to_sender(s->options.to_sender)))
		take_wish(s, beat);
	flush_all(s, clock_now_ms());
}

static void on_write_done(void *ctx, void *tag, uint32_t serial, const struct http_result *result)
{
	struct sender *s = ctx;
	struct beat *beat = tag;
	struct nacos_outcome o = { .interval_ms = 0 };
	enum nacos_call call = beat->delete_attempted ? NACOS_DEREGISTER : NACOS_REGISTER;
	enum machine_outcome outcome = verdict_of(registry_of(s, beat), beat, call, result, &o);

	ONEBEAT_CRASH_POINT(call == NACOS_REGISTER ? "agent.post.answered"
						   : "agent.delete.answered");
	if (outcome != MACHINE_OK)
		registry_count(&registry_of(s, beat)->counts.requests_failed);
	beat->n_inflight--;
	if (result->lost)
		machine_lost_copy(&beat->machine, serial, clock_now_ms());
	machine_reply(&beat->machine, serial, outcome, 0, clock_now_ms());
	ONEBEAT_CRASH_POINT(call == NACOS_REGISTER ? "agent.post.judged" : "agent.delete.judged");
	tell_journal(s, beat);
	ONEBEAT_CRASH_POINT(call == NACOS_REGISTER ? "agent.post.noted" : "agent.delete.noted");
	step(s, beat, outcome != MACHINE_OK);
}

static void on_beat_done(void *ctx, void *tag, uint32_t serial, const struct http_result *result)
{
	struct sender *s = ctx;
	struct beat *beat = tag;
	struct registry *registry = registry_of(s, beat);
	struct nacos_outcome o = { .interval_ms = 0 };
	uint64_t now_ms = clock_now_ms();
	uint32_t code = atomic_load_explicit(&beat->code, memory_order_relaxed);
	const struct beat_note *note = beat->note; /* compared, never read */
	enum machine_outcome outcome = verdict_of(registry, beat, NACOS_BEAT, result, &o);
	bool news = note != beat->note ||
		    code != atomic_load_explicit(&beat->code, memory_order_relaxed);

	ONEBEAT_CRASH_POINT("agent.beat.answered");
	beat->n_inflight--;
	registry_count(outcome == MACHINE_OK ? &registry->counts.beats_acknowledged
					     : &registry->counts.beats_failed);
	if (outcome == MACHINE_OK && serial == beat->machine.serial) {
		atomic_store_explicit(&beat->beat_ms, now_ms, memory_order_relaxed);
		rcu_read_lock();
		s->options.beaten(s->options.ctx, rcu_dereference(beat->node), now_ms);
		rcu_read_unlock();
	}
	if (result->lost)
		machine_lost_copy(&beat->machine, serial, now_ms);
	machine_reply(&beat->machine, serial, outcome, o.interval_ms, now_ms);
	ONEBEAT_CRASH_POINT("agent.beat.noted");
	step(s, beat, news);
}

static void do_due(struct sender *s, uint64_t now_ms)
{
	struct wheel_node *node = wheel_take(&s->wheel, now_ms, TICK_MAX);

	while (node) {
		struct wheel_node *next = node->next;

		node->next = NULL;
		step(s, beat_of(node), false);
		node = next;
	}
	flush_all(s, now_ms);
	for (uint32_t i = 0; i < s->n_registries; i++)
		registry_tick(&s->registries[i], now_ms);
}

static uint64_t earliest(const struct sender *s)
{
	uint64_t due = wheel_due_ms(&s->wheel);

	for (uint32_t i = 0; i < s->n_registries; i++) {
		uint64_t due_ms = registry_due_ms(&s->registries[i]);

		due = due_ms < due ? due_ms : due;
	}
	return due;
}

int sender_run(struct sender *s)
{
	int r = 0;

	while (atomic_load_explicit(&s->running, memory_order_acquire)) {
		uint64_t now_ms = clock_now_ms();

		do_due(s, now_ms);
		r = loop_turn(&s->loop, clock_wait_ms(clock_now_ms(), earliest(s)));
		if (r < 0) {
			log_error("sender.loop", "error=%s", LOG_Q(strerror(-r)));
			break;
		}
	}
	calls_end(&s->calls);
	return r < 0 ? r : 0;
}

static void stop_now(void *owner, void *ctx)
{
	struct sender *s = owner;

	(void)ctx;
	atomic_store_explicit(&s->running, false, memory_order_release);
}

void sender_stop(struct sender *s)
{
	(void)calls_do(&s->calls, stop_now, NULL);
}

static void on_calls(void *ctx, uint32_t events)
{
	struct sender *s = ctx;

	(void)events;
	calls_run(&s->calls, s);
}

uint32_t sender_n_registries(const struct sender *s)
{
	return s->n_registries;
}

const char *sender_registry_name(const struct sender *s, uint32_t registry)
{
	return s->registries[registry].options.name;
}

const struct sender_counts *sender_counts(const struct sender *s, uint32_t registry)
{
	return &s->registries[registry].counts;
}

const struct access *sender_access(const struct sender *s, uint32_t registry)
{
	return &s->registries[registry].access;
}

struct calls *sender_calls(struct sender *s)
{
	return &s->calls;
}

void sender_each_node(struct sender *s, uint32_t registry,
		      void (*fn)(void *ctx, const struct sender_node *node), void *ctx)
{
	const struct registry *r = &s->registries[registry];

	for (uint32_t i = 0; i < r->nodes.n_nodes; i++) {
		const struct http_node *n = &r->nodes.nodes[i];
		const struct sender_node node = {
			.address = n->host,
			.last_error = n->last_error,
			.healthy = n->n_failures == 0,
			.beat_connections = beat_lane_connections(r->beats, i),
		};

		if (!n->out)
			fn(ctx, &node);
	}
}

static int make_registries(struct sender *s)
{
	const struct sender_options *o = &s->options;
	const struct registry_ends ends = { .write_done = on_write_done,
					    .beat_done = on_beat_done,
					    .ctx = s };
	int r = 0;

	assert(o->n_registries > 0);
	s->registries = calloc(o->n_registries, sizeof(*s->registries));
	if (!s->registries)
		return -ENOMEM;
	for (; s->n_registries < o->n_registries && r == 0; s->n_registries++)
		r = registry_init(&s->registries[s->n_registries], &o->registries[s->n_registries],
				  &s->loop, &ends);
	return r;
}

static int prepare(struct sender *s)
{
	const struct sender_options *o = &s->options;
	int r = loop_init(&s->loop);

	if (r == 0)
		r = calls_init(&s->calls);
	if (r == 0)
		r = make_registries(s);
	if (r == 0)
		r = loop_add(&s->loop, o->to_sender->event_fd, EPOLLIN, on_wishes, s,
			     &s->queue_watch);
	if (r == 0)
		r = loop_add(&s->loop, s->calls.event_fd, EPOLLIN, on_calls, s, &s->calls_watch);
	return r;
}

int sender_new(struct sender **out, const struct sender_options *options)
{
	struct sender *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->options = *options;
	s->loop = (struct loop)LOOP_NULL;
	s->calls.event_fd = -1;
	s->queue_watch = s->calls_watch = LOOP_NO_WATCH;
	s->running = true;
	wheel_init(&s->wheel, clock_now_ms());
	r = prepare(s);
	if (r < 0)
		s = sender_free(s);
	*out = s;
	return r;
}

struct sender *sender_free(struct sender *s)
{
	if (!s)
		return NULL;
	for (uint32_t i = 0; i < s->n_registries; i++)
		registry_deinit(&s->registries[i]);
	free(s->registries);
	calls_deinit(&s->calls);
	loop_deinit(&s->loop);
	free(s);
	return NULL;
}
