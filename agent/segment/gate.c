/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: a lease is not the service
 *
 * Listening. An instance that asked for it is registered once its port listens, disabled when it has not
 * listened for a grace, taken out when it stays silent for SILENT_OUT times as long (a forgotten helper process
 * may hold the lease for ever), and shown again as soon as it listens again. Its hold also outlives its process
 * when the port goes on listening: a server that daemonised and closed the lease. Right after a death the
 * kernel may still be closing the listening socket, so the hold lingers and is looked at again within
 * milliseconds before anything is believed.
 *
 * Progress. A hold with a progress time-out whose tick word stands still is stalled. When all of an
 * instance's watched holds are stalled it is disabled, after as long again taken out; one tick brings it back.
 * The clock is ours: only "changed since I looked" is read from shared memory.
 *
 * Nothing falls two steps in one look: when looks come late, because the machine is busy, an instance is seen
 * disabled for a while before it is taken out all the same.
 *
 * One round looks at all gated instances and reads each network namespace's table once. Watcher thread only.
 */
#include <string.h>

#include "base/clock.h"
#include "segment/state.h"

#define GATE_FAST_MS 50u        /* while a port is awaited ... */
#define GATE_FAST_FOR_MS 10000u /* ... for so long */
#define GATE_SLOW_MS 1000u
#define GATE_LINGER_MS 2u
#define SILENT_OUT 10u

static bool has_progress(const struct instance *inst)
{
	for (const struct slot *h = inst->holds; h; h = h->hold_next) {
		if (h->descriptor->progress_timeout_ms > 0)
			return true;
	}
	return false;
}

static bool has_lingering(const struct instance *inst)
{
	for (const struct slot *h = inst->holds; h; h = h->hold_next) {
		if (h->lingers)
			return true;
	}
	return false;
}

bool gate_applies(const struct instance *inst)
{
	const struct slot *top = instance_in_force(inst);

	return top &&
	       (top->descriptor->when_listening || has_progress(inst) || has_lingering(inst));
}

/* 1, 0, or negative when nobody can tell: then what was believed stays. */
static int listens(const struct instance *inst)
{
	int answer = -1;

	for (const struct slot *h = inst->holds; h && answer != 1; h = h->hold_next) {
		struct listen_view *view = h->lease ? lease_view(h->lease) : NULL;

		if (view)
			answer = listen_on(view, inst->key->port);
	}
	return answer;
}

static enum gate judge_silence(struct watcher *w, struct instance *inst, uint64_t now_ms)
{
	uint64_t silent_ms;

	if (inst->silent_since_ms == CLOCK_NEVER)
		inst->silent_since_ms = now_ms;
	silent_ms = now_ms - inst->silent_since_ms;
	if (silent_ms < w->options.listen_grace_ms)
		return GATE_OPEN;
	if (inst->listening == GATE_OPEN ||
	    silent_ms < (uint64_t)w->options.listen_grace_ms * SILENT_OUT)
		return GATE_DISABLED;
	inst->was_listening = false;
	inst->watched_since_ms = now_ms;
	return GATE_CLOSED;
}

static enum gate judge_listening(struct watcher *w, struct instance *inst, uint64_t now_ms)
{
	int answer = listens(inst);

	if (answer > 0) {
		inst->was_listening = true;
		inst->silent_since_ms = CLOCK_NEVER;
		inst->listening = GATE_OPEN;
	} else if (answer == 0) {
		inst->listening = (uint8_t)(inst->was_listening ? judge_silence(w, inst, now_ms)
								: GATE_CLOSED);
	}
	return (enum gate)inst->listening; /* what was believed, when nobody can tell */
}

/* A hold's own verdict, from its tick word and our clock. */
static enum gate judge_tick(struct slot *slot, uint64_t now_ms)
{
	uint32_t limit_ms = slot->descriptor->progress_timeout_ms;
	bool was_stalled;
	uint32_t tick;

	if (limit_ms == 0 || slot->state != SLOT_LIVE)
		return GATE_OPEN;
	tick = atomic_load_explicit(memory_tick(&slot->domain->memory, slot->index),
				    memory_order_relaxed);
	if (tick != slot->tick) {
		slot->tick = tick;
		slot->ticked_ms = now_ms;
	}
	was_stalled = slot->stalled;
	slot->stalled = now_ms - slot->ticked_ms > limit_ms;
	if (!slot->stalled)
		return GATE_OPEN;
	if (!was_stalled)
		slot->stalled_ms = now_ms;
	return now_ms - slot->stalled_ms > limit_ms ? GATE_CLOSED : GATE_DISABLED;
}

static enum gate judge_progress(struct instance *inst, uint64_t now_ms)
{
	enum gate best = GATE_CLOSED;

	for (struct slot *h = inst->holds; h; h = h->hold_next) {
		enum gate g = judge_tick(h, now_ms);

		best = g < best ? g : best;
	}
	return best;
}

void gate_judge(struct watcher *w, struct instance *inst, uint64_t now_ms)
{
	const struct slot *top = instance_in_force(inst);
	enum gate listening = GATE_OPEN, progress;

	if (top->descriptor->when_listening)
		listening = judge_listening(w, inst, now_ms);
	progress = judge_progress(inst, now_ms);
	inst->gate = (uint8_t)(listening > progress ? listening : progress);
}

/* A hold of somebody who lives: then the dead one's word need not stand. */
static bool has_other(const struct instance *inst, const struct slot *slot)
{
	for (const struct slot *h = inst->holds; h; h = h->hold_next) {
		if (h != slot && !h->lingers)
			return true;
	}
	return false;
}

bool gate_lingers(struct watcher *w, struct slot *slot)
{
	const struct instance *inst = slot->instance;
	struct listen_view *view;

	if (!inst || !slot->descriptor->when_listening || !inst->was_listening || w->leaving ||
	    slot->policy == ONEBEAT_OWNER || has_other(inst, slot))
		return false;
	view = slot->lease ? lease_view(slot->lease) : NULL;
	listen_round(w->views);
	return view && listen_on(view, inst->key->port) == 1;
}

/* Lingering holds whose port has fallen silent go at once, with no grace: their process is gone. */
static void end_lingering(struct watcher *w, struct instance *inst)
{
	struct slot *next;

	for (struct slot *h = inst->holds; h; h = next) {
		next = h->hold_next;
		if (h->lingers) {
			bool others = inst->n_holds > 1;

			hold_drop(w, h);
			if (!others)
				return; /* the instance may be gone with it */
		}
	}
}

static uint64_t next_look(const struct instance *inst, uint64_t now_ms)
{
	if (has_lingering(inst))
		return now_ms +
		       (now_ms - inst->lingering_since_ms < 100 ? GATE_LINGER_MS : GATE_FAST_MS);
	if (inst->gate == GATE_CLOSED && now_ms - inst->watched_since_ms < GATE_FAST_FOR_MS)
		return now_ms + GATE_FAST_MS;
	return now_ms + GATE_SLOW_MS;
}

static void look(struct watcher *w, struct instance *inst, uint64_t now_ms)
{
	uint8_t before = inst->gate;

	if (has_lingering(inst) && listens(inst) == 0) {
		end_lingering(w, inst);
		return;
	}
	gate_judge(w, inst, now_ms);
	if (inst->gate != before) {
		inst->gate = before; /* instance_decide() judges again and acts on it */
		instance_decide(w, inst);
	}
}

void gate_round(struct watcher *w, uint64_t now_ms)
{
	w->gate_due_ms = CLOCK_NEVER;
	if (w->n_gated == 0)
		return;
	listen_round(w->views);
	for (uint32_t i = 0; i < w->instances.n_items; i++) {
		struct instance *inst = w->instances.items[i];
		uint64_t next;

		if (!inst || !inst->gated || inst->n_holds == 0)
			continue;
		look(w, inst, now_ms);
		inst = w->instances.items[i];
		if (!inst || inst->n_holds == 0)
			continue;
		next = next_look(inst, now_ms);
		if (next < w->gate_due_ms)
			w->gate_due_ms = next;
	}
}
