/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sender: the thread that speaks to the registry
 *
 * It takes wishes from the watcher, asks each instance's state machine what to send, gives it to a lane, and
 * hands outcomes back. Beats that fall due in one wheel tick are queued first and written together. Rendering
 * reads the instance's dom2Beat node under rcu_read_lock(); everything else here is the sender's own.
 *
 * A beat (the struct) belongs to the sender from the moment it is popped until it is pushed back as the last
 * word: machine GONE, nothing in flight, off the wheel. The watcher may free it then.
 *
 * The journal learns of a POST or DELETE before it leaves.
 */
#include "http/sender.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "beat/container.h"
#include "http/beat_lane.h"
#include "http/request_lane.h"
#include <onebeat/crashpoint.h>
#include "nacos/reply.h"
#include "nacos/request.h"

#define TICK_MAX 8192u /* beats a turn: a backlog is worked off between looks at the queues */

struct sender {
	struct sender_options options;
	struct nacos_api api;
	struct sender_counts counts;
	struct loop loop;
	struct wheel wheel;
	struct http_nodes nodes;
	struct request_lane *requests;
	struct beat_lane *beats;
	struct calls calls;
	uint64_t queue_watch;
	uint64_t calls_watch;
	_Atomic bool running;
	char target[NACOS_TARGET_MAX];
};

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
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
	count(&s->counts.requests_failed);
}

static void send_write(struct sender *s, struct beat *beat, enum machine_request what,
		       uint32_t serial)
{
	const struct dom2beat_node *node;
	size_t n;
	int r = -ENOBUFS;

	ONEBEAT_CRASH_POINT(what == MACHINE_POST ? "agent.post.decided" : "agent.delete.decided");
	beat->delete_attempted = what == MACHINE_DELETE;
	tell_journal(s, beat);
	ONEBEAT_CRASH_POINT(what == MACHINE_POST ? "agent.post.journalled"
						 : "agent.delete.journalled");
	rcu_read_lock();
	node = rcu_dereference(beat->node);
	if (what == MACHINE_POST)
		n = nacos_register_target(&s->api, node->descriptor, s->target, sizeof(s->target));
	else
		n = nacos_deregister_target(&s->api, node->descriptor, s->target,
					    sizeof(s->target));
	rcu_read_unlock();
	beat->n_inflight++;
	if (n > 0)
		r = request_lane_submit(s->requests, what == MACHINE_POST ? HTTP_POST : HTTP_DELETE,
					s->target, beat->owner, beat, serial);
	if (r < 0)
		not_submitted(s, beat, serial);
	else
		count(what == MACHINE_POST ? &s->counts.registers : &s->counts.deregisters);
	ONEBEAT_CRASH_POINT(what == MACHINE_POST ? "agent.post.submitted"
						 : "agent.delete.submitted");
}

/*
 * The request line is rendered once and kept until the node changes. While a stale beat is still in the lane its
 * bytes must stay, so a change waits for the next beat: at worst that one is answered "unknown".
 */
static bool render_beat(struct sender *s, struct beat *beat)
{
	const struct dom2beat_node *node;
	size_t n = 0;

	rcu_read_lock();
	node = rcu_dereference(beat->node);
	if (!beat->request || (beat->request_version != node->version && beat->n_inflight == 0)) {
		n = nacos_beat_line(&s->api, node->descriptor, s->target, sizeof(s->target));
		beat->request_version = node->version;
	}
	rcu_read_unlock();
	if (n > 0) {
		free(beat->request);
		beat->request = strndup(s->target, n);
	}
	return beat->request != NULL;
}

static void send_beat(struct sender *s, struct beat *beat, uint32_t serial)
{
	int r = -ENOMEM;

	ONEBEAT_CRASH_POINT("agent.beat.decided");
	if (render_beat(s, beat))
		r = beat_lane_submit(s->beats, beat->request, (uint32_t)strlen(beat->request), beat,
				     serial);
	beat->n_inflight++;
	if (r < 0)
		not_submitted(s, beat, serial);
	else
		count(&s->counts.beats_sent);
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

/* Sends what is due and says what became of it. force: the watcher is owed a word in any case. */
static void step(struct sender *s, struct beat *beat, bool force)
{
	uint64_t now_ms = clock_now_ms();
	enum machine_request what;
	uint32_t serial;
	bool changed;

	while ((what = machine_take(&beat->machine, now_ms, &serial)) != MACHINE_NONE) {
		if (what == MACHINE_BEAT)
			send_beat(s, beat, serial);
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

static void take_wish(struct sender *s, struct beat *beat)
{
	uint32_t want = atomic_load_explicit(&beat->want_version, memory_order_relaxed);
	uint64_t now_ms = clock_now_ms();
	uint32_t period_ms;
	bool ephemeral;

	ONEBEAT_CRASH_POINT("agent.wish.taken");
	rcu_read_lock();
	period_ms = rcu_dereference(beat->node)->descriptor->beat_ms;
	ephemeral = rcu_dereference(beat->node)->descriptor->ephemeral;
	rcu_read_unlock();
	if (beat->adopted) {
		beat->adopted = false;
		beat->delete_attempted = beat->past.delete_attempted;
		machine_adopt(&beat->machine, &beat->past, want, period_ms, ephemeral, period_ms,
			      now_ms);
	} else if (want > 0) {
		machine_want(&beat->machine, want, period_ms, ephemeral, now_ms);
	} else {
		machine_leave(&beat->machine, now_ms);
	}
	step(s, beat, true);
}

static void on_wishes(void *ctx, uint32_t events)
{
	struct sender *s = ctx;
	struct beat *beat;

	(void)events;
	beat_queue_drain_event(s->options.to_sender);
	while ((beat = beat_pop_to_sender(s->options.to_sender)))
		take_wish(s, beat);
	beat_lane_flush(s->beats, clock_now_ms());
}

/* True when it is news: the same trouble again is not worth a line. */
static bool keep_note(struct beat *beat, int code, const char *text)
{
	struct beat_note *note = NULL;

	atomic_store_explicit(&beat->code, (uint32_t)code, memory_order_relaxed);
	if (!text[0] && !beat->note)
		return false;
	if (text[0]) {
		if (beat->note && strncmp(beat->note->text, text, sizeof(note->text) - 1) == 0)
			return false;
		note = calloc(1, sizeof(*note));
		if (!note)
			return false;
		note->code = code;
		snprintf(note->text, sizeof(note->text), "%s", text);
	}
	beat_set_note(beat, note);
	return true;
}

static enum machine_outcome outcome_of(const struct nacos_outcome *o)
{
	switch (o->verdict) {
	case NACOS_OK:
		return MACHINE_OK;
	case NACOS_UNKNOWN:
		return MACHINE_UNKNOWN;
	case NACOS_REFUSED:
		return MACHINE_REFUSED;
	case NACOS_DENIED:
	case NACOS_FAILED:
	case NACOS_NO_API:
		break;
	}
	return MACHINE_FAILED;
}

static enum machine_outcome judge(const struct sender *s, struct beat *beat, enum nacos_call call,
				  const struct http_result *result, struct nacos_outcome *o)
{
	if (result->end != HTTP_ANSWERED) {
		keep_note(beat, 0, result->why);
		return result->end == HTTP_LOST ? MACHINE_LOST : MACHINE_FAILED;
	}
	nacos_judge(s->api.version, call, result->status, result->body, result->n_body, o);
	if (keep_note(beat, o->code, o->text) &&
	    (o->verdict == NACOS_FAILED || o->verdict == NACOS_DENIED ||
	     o->verdict == NACOS_NO_API))
		log_warning("registry.answer",
			    "node=%s status=%d code=%d text=%s next=\"tried again\"", result->node,
			    result->status, o->code, LOG_Q(o->text));
	return outcome_of(o);
}

static void on_write_done(void *ctx, void *tag, uint32_t serial, const struct http_result *result)
{
	struct sender *s = ctx;
	struct beat *beat = tag;
	struct nacos_outcome o = { .interval_ms = 0 };
	enum nacos_call call = beat->delete_attempted ? NACOS_DEREGISTER : NACOS_REGISTER;
	enum machine_outcome outcome = judge(s, beat, call, result, &o);

	ONEBEAT_CRASH_POINT(call == NACOS_REGISTER ? "agent.post.answered"
						   : "agent.delete.answered");
	if (outcome != MACHINE_OK)
		count(&s->counts.requests_failed);
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
	struct nacos_outcome o = { .interval_ms = 0 };
	uint64_t now_ms = clock_now_ms();
	uint32_t code = atomic_load_explicit(&beat->code, memory_order_relaxed);
	enum machine_outcome outcome = judge(s, beat, NACOS_BEAT, result, &o);

	ONEBEAT_CRASH_POINT("agent.beat.answered");
	beat->n_inflight--;
	count(outcome == MACHINE_OK ? &s->counts.beats_acknowledged : &s->counts.beats_failed);
	if (outcome == MACHINE_OK && serial == beat->machine.serial) {
		atomic_store_explicit(&beat->beat_ms, now_ms, memory_order_relaxed);
		rcu_read_lock();
		s->options.beaten(s->options.ctx, rcu_dereference(beat->node), now_ms);
		rcu_read_unlock();
	}
	machine_reply(&beat->machine, serial, outcome, o.interval_ms, now_ms);
	ONEBEAT_CRASH_POINT("agent.beat.noted");
	step(s, beat, code != atomic_load_explicit(&beat->code, memory_order_relaxed));
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
	beat_lane_flush(s->beats, now_ms);
	beat_lane_tick(s->beats, now_ms);
	request_lane_tick(s->requests, now_ms);
}

static uint64_t earliest(const struct sender *s)
{
	const uint64_t dues[] = { wheel_due_ms(&s->wheel), beat_lane_due_ms(s->beats),
				  request_lane_due_ms(s->requests) };
	uint64_t due = CLOCK_NEVER;

	for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++)
		due = dues[i] < due ? dues[i] : due;
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

const struct sender_counts *sender_counts(const struct sender *s)
{
	return &s->counts;
}

struct calls *sender_calls(struct sender *s)
{
	return &s->calls;
}

void sender_each_node(struct sender *s, void (*fn)(void *ctx, const struct sender_node *node),
		      void *ctx)
{
	for (uint32_t i = 0; i < s->nodes.n_nodes; i++) {
		const struct http_node *n = &s->nodes.nodes[i];
		const struct sender_node node = {
			.address = n->host,
			.last_error = n->last_error,
			.healthy = n->n_failures == 0,
			.beat_connections = beat_lane_connections(s->beats, i),
		};

		fn(ctx, &node);
	}
}

static int prepare(struct sender *s)
{
	const struct sender_options *o = &s->options;
	int r = loop_init(&s->loop);

	if (r == 0)
		r = calls_init(&s->calls);
	if (r == 0)
		r = http_nodes_init(&s->nodes, o->urls, o->n_urls, (uint32_t)clock_now_ms());
	if (r == 0)
		r = request_lane_new(&s->requests, &s->loop, &s->nodes, o->request_connections,
				     on_write_done, s);
	if (r == 0)
		r = beat_lane_new(&s->beats, &s->loop, &s->nodes, o->beat_connections, on_beat_done,
				  s);
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
	s->api.context = options->context;
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
	beat_lane_free(s->beats);
	request_lane_free(s->requests);
	http_nodes_deinit(&s->nodes);
	calls_deinit(&s->calls);
	loop_deinit(&s->loop);
	free(s);
	return NULL;
}
