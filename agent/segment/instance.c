/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances: what the registry is to see of all holds together
 *
 * In force is the descriptor that was accepted last among the living holds; when its holder leaves, the next
 * most recent. The gate (listening, progress) may disable it or hold it back. instance_decide() is called after
 * any change; it compares what should be seen with what is seen, and only a difference makes a new version and
 * a word to the sender. Holders that come and go without changing it cost no request.
 *
 * An instance is over when nothing holds it and the sender has let go of its beat. Until then a new hold
 * revives it. Watcher thread only.
 */
#include <errno.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

#define DECIDE_PAUSE_MS 100u

struct instance *instance_find(struct watcher *w, const struct descriptor *d)
{
	struct dom2beat_node *node;
	struct dom2beat_key key;
	struct instance *inst = NULL;

	dom2beat_key_of(d, &key);
	rcu_read_lock();
	node = dom2beat_find(w->options.map, &key);
	if (node)
		inst = numbered_get(&w->instances, node->beat->id);
	rcu_read_unlock();
	return inst;
}

static int number(struct watcher *w, struct instance *inst, uint32_t id)
{
	if (id != UINT32_MAX) {
		inst->id = id;
		return numbered_add_at(&w->instances, inst, id);
	}
	return numbered_add(&w->instances, inst, &inst->id);
}

/* In the map from its first moment, so that it can be found; nothing is wanted of the registry yet. */
struct instance *instance_new(struct watcher *w, struct descriptor *d, uint32_t id, uint32_t owner)
{
	struct instance *inst = calloc(1, sizeof(*inst));
	struct dom2beat_node *node = NULL;
	struct dom2beat_key key;
	int r = inst ? number(w, inst, id) : -ENOMEM;

	if (r < 0) {
		free(inst);
		errno = -r;
		return NULL;
	}
	inst->gate = GATE_CLOSED;
	inst->listening = GATE_CLOSED;
	inst->silent_since_ms = CLOCK_NEVER;
	inst->watched_since_ms = clock_now_ms();
	dom2beat_key_of(d, &key);
	inst->key = descriptor_ref(d);
	inst->beat = beat_new(inst->id, dom2beat_hash(&key));
	if (inst->beat)
		node = dom2beat_node_new(inst->beat, inst->key, 0, NULL, 0);
	if (!node) {
		free(inst->beat);
		descriptor_unref(inst->key);
		numbered_remove(&w->instances, inst->id);
		free(inst);
		errno = ENOMEM;
		return NULL;
	}
	inst->beat->owner = owner;
	inst->beat->registry = registries_find(w, d->registry);
	dom2beat_set(w->options.map, node);
	ONEBEAT_CRASH_POINT("agent.instance.made");
	return inst;
}

struct slot *instance_in_force(const struct instance *inst)
{
	struct slot *top = NULL;

	for (struct slot *h = inst->holds; h; h = h->hold_next) {
		if (!top || h->order > top->order)
			top = h;
	}
	return top;
}

static void forget(struct watcher *w, struct instance *inst)
{
	if (inst->gated)
		w->n_gated--;
	descriptor_unref(inst->key);
	descriptor_unref(inst->effective);
	numbered_remove(&w->instances, inst->id);
	free(inst);
}

void instance_end(struct watcher *w, struct instance *inst)
{
	assert(inst->n_holds == 0);
	hold_release_leaving(w, inst);
	journal_drop_instance(w->journal, inst->id);
	ONEBEAT_CRASH_POINT("agent.instance.forgotten");
	dom2beat_remove(w->options.map, inst->beat);
	ONEBEAT_CRASH_POINT("agent.instance.unmapped");
	forget(w, inst);
}

/* The beat stays in the map, whose end frees it: the sender may have it. */
void instance_discard(struct watcher *w, struct instance *inst)
{
	forget(w, inst);
}

/* A wrapper's lease was taken in the wrapper's name; its program is what it has become since. */
static void name_program(struct lease *lease)
{
	struct identity now = lease->identity;

	if ((lease->flags & ONEBEAT_HELLO_ACROSS_EXEC) && identity_refresh(&now))
		lease->identity = now;
}

static void describe_holder(const struct slot *slot, struct dom2beat_holder *out)
{
	struct lease *lease = slot->lease;

	*out = (struct dom2beat_holder){ .policy = slot->policy };
	if (lease) {
		name_program(lease);
		out->pid = lease->identity.pid;
		out->uid = lease->identity.uid;
		out->attached = lease->state == LEASE_OPEN;
		memcpy(out->program, lease->identity.program, sizeof(out->program));
	}
	out->line = slot->state == SLOT_LIVE ? slot_line(slot) : NULL;
}

/* There is no memory for what is to be done: the registry sees what it saw, for a moment. */
static void put_off(struct watcher *w, struct instance *inst)
{
	log_error("instance.memory", "service=%s next=\"kept as it was, again in %u ms\"",
		  LOG_Q(inst->key->service), DECIDE_PAUSE_MS);
	inst->undecided = true;
	w->decide_due_ms = clock_now_ms() + DECIDE_PAUSE_MS;
}

static bool publish_node(struct watcher *w, struct instance *inst, struct descriptor *d)
{
	struct dom2beat_holder *holders = calloc(inst->n_holds ? inst->n_holds : 1,
						 sizeof(*holders));
	struct dom2beat_node *node = NULL;
	uint32_t n = 0;

	if (holders) {
		for (const struct slot *h = inst->holds; h; h = h->hold_next)
			describe_holder(h, &holders[n++]);
		node = dom2beat_node_new(inst->beat, d, inst->version, holders, n);
	}
	free(holders);
	if (node)
		dom2beat_set(w->options.map, node);
	else
		put_off(w, inst);
	return node != NULL;
}

/* Its last holder died. Who withdraws it, or makes the agent leave, wants it to go. */
static bool orphaned(const struct watcher *w, const struct instance *inst)
{
	return inst->leaving && !inst->leaving->withdrawn && !w->leaving;
}

static void wish(struct watcher *w, struct instance *inst, bool wanted)
{
	inst->wanted = wanted;
	inst->let_go = false;
	atomic_store_explicit(&inst->beat->orphaned, orphaned(w, inst), memory_order_relaxed);
	atomic_store_explicit(&inst->beat->want_version, wanted ? inst->version : 0,
			      memory_order_relaxed);
	beat_push_to_sender(w->options.to_sender, inst->beat);
	ONEBEAT_CRASH_POINT(wanted ? "agent.instance.told" : "agent.instance.leave_told");
}

static void note_gated(struct watcher *w, struct instance *inst)
{
	bool gated = gate_applies(inst);

	if (gated == inst->gated)
		return;
	inst->gated = gated;
	w->n_gated = gated ? w->n_gated + 1 : w->n_gated - 1;
	w->gate_due_ms = 0;
}

/* True when the sender has nothing of it: never given to it, or let go of since. */
static bool idle(const struct instance *inst)
{
	return inst->beat->n_given == 0 || inst->let_go;
}

static void decide_unheld(struct watcher *w, struct instance *inst)
{
	note_gated(w, inst);
	if (idle(inst)) {
		instance_end(w, inst);
		return;
	}
	/* The node stays for the DELETE, without holders: their lines are another's soon. */
	publish_node(w, inst, inst->effective ? inst->effective : inst->key);
	ONEBEAT_CRASH_POINT("agent.instance.unheld");
	if (inst->wanted)
		wish(w, inst, false);
	instance_report(w, inst);
}

/* Before the act: a successor compares it with what it finds in force. */
static void journal_shown(struct watcher *w, struct instance *inst, const struct descriptor *d,
			  uint64_t order)
{
	struct journal_instance rec = { .key_hash = inst->beat->key_hash,
					.version = inst->version,
					.gate = inst->gate,
					.digest = descriptor_digest(d),
					.order = order };

	journal_failed(journal_put_instance(w->journal, inst->id, &rec), "instance");
}

/* Takes over d, from the slot of this order, as what is to be seen. */
static void show(struct watcher *w, struct instance *inst, struct descriptor *d, uint64_t order)
{
	bool wanted = inst->gate != GATE_CLOSED;
	bool changed = !inst->effective || !descriptor_equal(inst->effective, d);
	bool anew = wanted && (changed || !inst->wanted);

	if (anew)
		inst->version++;
	journal_shown(w, inst, d, order);
	ONEBEAT_CRASH_POINT("agent.instance.journalled");
	if (!publish_node(w, inst, d)) {
		inst->version -= anew;
		descriptor_unref(d);
		return;
	}
	descriptor_unref(inst->effective);
	inst->effective = d;
	ONEBEAT_CRASH_POINT("agent.instance.mapped");
	if (anew || wanted != inst->wanted)
		wish(w, inst, wanted);
}

static struct descriptor *effective(const struct instance *inst, const struct slot *top)
{
	bool enabled = top->descriptor->enabled && inst->gate == GATE_OPEN;

	/* Mostly it is the slot's own: a copy each would be a third of an instance's memory. */
	if (enabled == top->descriptor->enabled)
		return descriptor_ref(top->descriptor);
	return descriptor_with(top->descriptor, NULL, NULL, NULL, enabled);
}

void instance_decide(struct watcher *w, struct instance *inst)
{
	const struct slot *top = instance_in_force(inst);
	struct descriptor *d;

	if (!top) {
		decide_unheld(w, inst);
		return;
	}
	note_gated(w, inst);
	gate_judge(w, inst, clock_now_ms());
	d = effective(inst, top);
	if (!d) {
		put_off(w, inst);
		return;
	}
	show(w, inst, d, top->order);
	instance_report(w, inst);
}

void instance_round(struct watcher *w)
{
	w->decide_due_ms = CLOCK_NEVER;
	for (uint32_t i = 0; i < w->instances.n_items; i++) {
		struct instance *inst = w->instances.items[i];

		if (!inst || !inst->undecided)
			continue;
		inst->undecided = false;
		instance_decide(w, inst);
	}
}

/* Time goes on from where the journal says that the gate stood. */
static void restore_gate(struct watcher *w, struct instance *inst, enum gate was)
{
	uint64_t now_ms = clock_now_ms();

	inst->gate = (uint8_t)was;
	inst->listening = (uint8_t)was;
	inst->was_listening = was != GATE_CLOSED;
	if (was == GATE_DISABLED)
		inst->silent_since_ms = now_ms - w->options.listen_grace_ms;
	for (struct slot *h = inst->holds; h; h = h->hold_next) {
		uint32_t limit_ms = h->descriptor->progress_timeout_ms;

		h->ticked_ms = now_ms - (was == GATE_OPEN ? 0 : limit_ms + 1);
		h->stalled = was != GATE_OPEN && limit_ms > 0;
		h->stalled_ms = now_ms - (was == GATE_CLOSED ? limit_ms + 1 : 0);
	}
}

/*
 * Is what should be seen what the journal says was seen? The slot that it came from may be another one, or gone:
 * a holder that was accepted last may have had nothing new to say, and the one in force may just have left.
 */
static bool was_shown(const struct instance *inst, const struct journal_instance *was,
		      const struct slot *top)
{
	if (was->gate != inst->gate)
		return false;
	return was->order == top->order ||
	       (was->digest != 0 && was->digest == descriptor_digest(inst->effective));
}

void instance_adopted(struct watcher *w, struct instance *inst)
{
	const struct slot *top = instance_in_force(inst);
	struct journal_instance was = { .gate = GATE_CLOSED };
	bool known, shown;

	if (!top) {
		wish(w, inst, false);
		return;
	}
	note_gated(w, inst);
	known = journal_get_instance(w->journal, inst->id, &was);
	restore_gate(w, inst, (enum gate)was.gate);
	gate_judge(w, inst, clock_now_ms());
	inst->effective = effective(inst, top);
	if (!inst->effective)
		return;
	shown = known && was_shown(inst, &was, top);
	if (inst->gate != GATE_CLOSED && !shown)
		inst->version++;
	if (!shown || was.order != top->order)
		journal_shown(w, inst, inst->effective, top->order);
	publish_node(w, inst, inst->effective);
	if (inst->gate != GATE_CLOSED || inst->beat->past.posted > 0)
		wish(w, inst, inst->gate != GATE_CLOSED);
	/* What goes on as it was is no event. */
	if (shown && instance_public_state(inst) >= ONEBEAT_STATE_UP)
		inst->shown = (uint8_t)instance_public_state(inst);
	instance_report(w, inst);
}

enum onebeat_state instance_public_state(const struct instance *inst)
{
	const struct beat *beat = inst->beat;

	if (inst->n_holds == 0)
		return inst->let_go ? ONEBEAT_STATE_GONE : ONEBEAT_STATE_LEAVING;
	if (!inst->wanted)
		return ONEBEAT_STATE_WAITING;
	if (atomic_load_explicit(&beat->state, memory_order_relaxed) == MACHINE_REJECTED &&
	    atomic_load_explicit(&beat->rejected, memory_order_relaxed) == inst->version)
		return ONEBEAT_STATE_REFUSED;
	if (atomic_load_explicit(&beat->acked, memory_order_relaxed) != inst->version)
		return ONEBEAT_STATE_REGISTERING;
	return inst->effective->enabled ? ONEBEAT_STATE_UP : ONEBEAT_STATE_DOWN;
}

static const char *const event_names[] = {
	[ONEBEAT_STATE_DETACHED] = "detached",
	[ONEBEAT_STATE_PENDING] = "pending",
	[ONEBEAT_STATE_WAITING] = "waiting",
	[ONEBEAT_STATE_REGISTERING] = "registering",
	[ONEBEAT_STATE_UP] = "up",
	[ONEBEAT_STATE_DOWN] = "down",
	[ONEBEAT_STATE_REFUSED] = "refused",
	[ONEBEAT_STATE_LEAVING] = "leaving",
	[ONEBEAT_STATE_GONE] = "gone",
};

static void tell(struct watcher *w, struct instance *inst)
{
	enum onebeat_state state = instance_public_state(inst);
	const struct beat_note *note;

	if (inst->shown == state)
		return;
	inst->shown = (uint8_t)state;
	rcu_read_lock();
	note = rcu_dereference(inst->beat->note);
	log_info("instance", "state=%s service=%s group=%s ip=%s port=%u holders=%u%s%s",
		 event_names[state], LOG_Q(inst->key->service), LOG_Q(inst->key->group),
		 inst->key->ip, inst->key->port, inst->n_holds, note ? " reason=" : "",
		 note ? LOG_Q(note->text) : "");
	if (w->options.event)
		w->options.event(w->options.event_ctx, event_names[state], inst->key,
				 note ? note->text : "");
	rcu_read_unlock();
}

void instance_report(struct watcher *w, struct instance *inst)
{
	for (struct slot *h = inst->holds; h; h = h->hold_next)
		hold_report(w, h);
	if (inst->leaving)
		hold_report(w, inst->leaving);
	tell(w, inst);
}

void instance_outcome(struct watcher *w, struct beat *beat, bool returned)
{
	struct instance *inst = numbered_get(&w->instances, beat->id);

	assert(inst && inst->beat == beat);
	inst->let_go = returned;
	ONEBEAT_CRASH_POINT(returned ? "agent.outcome.gone" : "agent.outcome.received");
	instance_report(w, inst);
	if (returned && inst->n_holds == 0)
		instance_end(w, inst);
}
