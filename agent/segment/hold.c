/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds: slots whose last good descriptor keeps an instance
 *
 * hold_look() turns a slot's newest version into a decision: accepted, refused or withdrawn. A refused version
 * changes nothing but the slot's status line and the counters; the last good descriptor stays in force. What is
 * accepted is completed first (registry, namespace, address), so that instances are compared by what the
 * registry will see.
 *
 * A hold that comes from a process whose earlier lease still has one for the same instance takes its place: the
 * process has lost its lease and come back.
 *
 * The journal is written before the act. Watcher thread only.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

/* Too large for a stack frame; the watcher's thread alone uses them. */
static struct drain_copy look_copy;
static struct journal_slot slot_record;

static void put_slot(struct watcher *w, struct slot *slot, struct journal_slot *rec)
{
	rec->generation = slot->generation;
	rec->state = slot->state;
	rec->lease = slot->lease ? slot->lease->index : UINT32_MAX;
	rec->instance = slot->instance ? slot->instance->id : UINT32_MAX;
	rec->policy = slot->policy | (slot->withdrawn ? JOURNAL_WITHDRAWN : 0);
	rec->version = slot->version;
	rec->cookie = slot->cookie;
	rec->order = slot->order;
	journal_failed(journal_put_slot(w->journal, slot->domain->index, slot->index, rec), "slot");
}

/* The record's descriptor stays what it is: the journal is its only other copy. */
void hold_journal(struct watcher *w, struct slot *slot)
{
	if (!slot->descriptor ||
	    !journal_get_slot(w->journal, slot->domain->index, slot->index, &slot_record)) {
		slot_record.length = 0;
		slot_record.ip[0] = '\0';
	}
	put_slot(w, slot, &slot_record);
}

static void journal_descriptor(struct watcher *w, struct slot *slot, const uint32_t *payload,
			       uint32_t length)
{
	snprintf(slot_record.ip, sizeof(slot_record.ip), "%s",
		 slot->gave_ip ? "" : slot->descriptor->ip);
	slot_record.length = length;
	memcpy(slot_record.descriptor, payload, length);
	put_slot(w, slot, &slot_record);
}

void hold_report(struct watcher *w, struct slot *slot)
{
	const struct instance *inst = slot->instance;
	struct status_line s = { .state = ONEBEAT_STATE_PENDING,
				 .judged = slot->domain->last[slot->index],
				 .ip = "",
				 .text = "" };
	struct beat_note *note = NULL;

	(void)w;
	if (slot->state == SLOT_LOST)
		return;
	rcu_read_lock();
	if (inst) {
		const struct beat *beat = inst->beat;
		bool confirmed = inst->wanted &&
				 atomic_load_explicit(&beat->acked, memory_order_relaxed) ==
					 inst->version;

		note = rcu_dereference(inst->beat->note);
		s.state = instance_public_state(inst);
		s.code = atomic_load_explicit(&beat->code, memory_order_relaxed);
		s.confirmed = confirmed ? slot->version : 0;
		s.since_ms = (uint32_t)atomic_load_explicit(&beat->since_ms, memory_order_relaxed);
		s.holders = inst->n_holds;
		s.ip = inst->key->ip;
		s.text = note ? note->text : "";
	}
	if (slot->refused) {
		s.state = ONEBEAT_STATE_REFUSED;
		s.text = slot->why ? slot->why : "";
		s.confirmed = 0;
	}
	status_line_write(slot_line(slot), slot->generation, &s);
	ONEBEAT_CRASH_POINT("agent.report.written");
	rcu_read_unlock();
}

void hold_refuse(struct watcher *w, struct slot *slot, const char *why)
{
	char label[64] = "pid=0";

	if (!slot->refused)
		atomic_fetch_add_explicit(&w->counts.refused, 1, memory_order_relaxed);
	slot->refused = true;
	free(slot->why);
	slot->why = strdup(why);
	ONEBEAT_CRASH_POINT("agent.refuse.noted");
	if (slot->lease)
		lease_label(slot->lease, label);
	log_warning("instance.refused", "%s slot=%u reason=%s next=\"%s\"", label, slot->index,
		    LOG_Q(why),
		    slot->descriptor ? "the last good definition stays in force"
				     : "nothing is registered");
	if (w->options.event)
		w->options.event(w->options.event_ctx, "refused", slot->descriptor, why);
	hold_report(w, slot);
}

void hold_forgive(struct watcher *w, struct slot *slot)
{
	if (slot->refused)
		atomic_fetch_sub_explicit(&w->counts.refused, 1, memory_order_relaxed);
	slot->refused = false;
	free(slot->why);
	slot->why = NULL;
}

/* The address for a client that gave none: what it has already, else the host's. NULL with why. */
static const char *choose_ip(struct watcher *w, struct slot *slot, char why[DECODE_WHY_MAX])
{
	if (slot->instance && !slot->gave_ip)
		return slot->instance->key->ip;
	if (slot->lease && lease_is_elsewhere(slot->lease)) {
		snprintf(
			why, DECODE_WHY_MAX,
			"ip is left out, but the process is in another network namespace than the agent: "
			"give its address (--ip)");
		return NULL;
	}
	if (!w->options.ip)
		snprintf(why, DECODE_WHY_MAX,
			 "ip is left out, and the agent has no address to give: %s",
			 w->options.ip_error ? w->options.ip_error : "none found");
	return w->options.ip;
}

/* Fills in what the client left to the agent. Consumes d; NULL with why, empty when memory is out. */
static struct descriptor *complete(struct watcher *w, struct slot *slot, struct descriptor *d,
				   char why[DECODE_WHY_MAX])
{
	struct descriptor *whole = NULL;
	const char *ip = d->ip[0] ? d->ip : choose_ip(w, slot, why);

	if (d->when_listening && slot->lease && lease_is_hidden(slot->lease))
		snprintf(why, DECODE_WHY_MAX,
			 "the agent cannot see which ports its network namespace listens on: "
			 "leave the listen check out (--no-listen-check)");
	else if (ip)
		whole = registries_complete(w, d, ip, why);
	descriptor_unref(d);
	return whole;
}

static bool same_key(const struct descriptor *a, const struct descriptor *b)
{
	return a->port == b->port && strcmp(a->ip, b->ip) == 0 &&
	       strcmp(a->service, b->service) == 0 && strcmp(a->group, b->group) == 0 &&
	       strcmp(a->namespace_id, b->namespace_id) == 0 &&
	       strcmp(a->registry, b->registry) == 0;
}

static void attach(struct instance *inst, struct slot *slot)
{
	slot->instance = inst;
	slot->hold_next = inst->holds;
	inst->holds = slot;
	inst->n_holds++;
}

static void detach(struct slot *slot)
{
	struct instance *inst = slot->instance;
	struct slot **at;

	for (at = &inst->holds; *at != slot; at = &(*at)->hold_next)
		assert(*at);
	*at = slot->hold_next;
	slot->hold_next = NULL;
	slot->instance = NULL;
	inst->n_holds--;
}

/* What a slot becomes when it says nothing any more: its lease's again, or free. */
static void settle_slot(struct watcher *w, struct slot *slot)
{
	struct lease *lease = slot->lease;

	hold_forgive(w, slot);
	slot->descriptor = descriptor_unref(slot->descriptor);
	if (lease && lease->state != LEASE_ENDED && slot->state != SLOT_LOST) {
		slot->state = SLOT_SPARE;
		hold_journal(w, slot);
		ONEBEAT_CRASH_POINT("agent.drop.spare");
		return;
	}
	grant_unlink(slot);
	grant_release(w, slot);
	if (lease)
		lease_settle(lease);
}

void hold_release_leaving(struct watcher *w, struct instance *inst)
{
	struct slot *slot = inst->leaving;

	if (!slot)
		return;
	inst->leaving = NULL;
	slot->instance = NULL;
	if (slot->lost)
		slot->state = SLOT_LOST;
	settle_slot(w, slot);
}

void hold_drop(struct watcher *w, struct slot *slot)
{
	struct instance *inst = slot->instance;

	if (!inst) {
		settle_slot(w, slot);
		return;
	}
	hold_forgive(w, slot);
	slot->lingers = false;
	detach(slot);
	ONEBEAT_CRASH_POINT("agent.drop.detached");
	if (inst->n_holds == 0 && inst->beat->n_given > 0) {
		/* The registry may know it: the journal keeps this descriptor until the DELETE is done. */
		hold_release_leaving(w, inst);
		slot->lost = slot->state == SLOT_LOST;
		slot->state = SLOT_LEAVING;
		slot->instance = inst;
		inst->leaving = slot;
		hold_journal(w, slot);
		ONEBEAT_CRASH_POINT("agent.drop.leaving");
		hold_report(w, slot);
	} else {
		settle_slot(w, slot);
	}
	instance_decide(w, inst);
}

/* What the process held with an earlier lease, and what only lingered, gives way to a living hold. */
static void supersede(struct watcher *w, struct instance *inst, const struct slot *slot)
{
	struct slot *next;

	for (struct slot *h = inst->holds; h; h = next) {
		next = h->hold_next;
		if (h == slot || !(h->lingers || join_left_behind(h, slot)))
			continue;
		h->lingers = false;
		hold_forgive(w, h);
		detach(h);
		settle_slot(w, h);
	}
}

/* Has it none but its lost lease to hang on? */
static bool may_give_way(const struct slot *h)
{
	return h->lingers || (h->lease && h->lease->state >= LEASE_WATCHED);
}

/* Nothing to do for most: an instance may have thousands of holders, and each would be held against each. */
void hold_supersede_all(struct watcher *w, struct instance *inst)
{
	bool any = false;

	for (const struct slot *h = inst->holds; h && !any; h = h->hold_next)
		any = may_give_way(h);
	for (struct slot *h = inst->holds; h && any; h = h->hold_next) {
		if (h->lease && h->lease->state == LEASE_OPEN)
			supersede(w, inst, h);
	}
}

/* The other things that an update may not change. */
static bool same_kind(const struct descriptor *a, const struct descriptor *b)
{
	return strcmp(a->cluster, b->cluster) == 0 && a->ephemeral == b->ephemeral;
}

/*
 * Puts the slot under the instance that d names. NULL with why, which is empty when memory is out. A slot's instance never changes: what the
 * registry knows of the old one would hang on nothing, and nothing would bound the number of instances.
 */
static struct instance *join(struct watcher *w, struct slot *slot, struct descriptor *d,
			     char why[DECODE_WHY_MAX])
{
	struct instance *inst = slot->instance;

	if (inst && (!same_key(d, inst->key) || !same_kind(d, slot->descriptor))) {
		snprintf(
			why, DECODE_WHY_MAX,
			"an update may not change instance, cluster or ephemeral: withdraw and register instead");
		return NULL;
	}
	if (!inst)
		inst = instance_find(w, d);
	if (inst && !join_permits(inst, slot, d, why))
		return NULL;
	if (!inst)
		inst = instance_new(w, d, UINT32_MAX, slot->domain->index);
	if (!inst && errno == ENOSPC)
		snprintf(why, DECODE_WHY_MAX, "the agent has no room for another instance");
	else if (inst && !slot->instance)
		attach(inst, slot);
	return inst;
}

/* The descriptor is good and the slot is under its instance: from here on it counts. */
static void take_descriptor(struct watcher *w, struct slot *slot, struct descriptor *d,
			    uint32_t version)
{
	hold_forgive(w, slot);
	descriptor_unref(slot->descriptor);
	slot->descriptor = d;
	slot->policy = d->policy;
	slot->withdrawn = false;
	slot->version = version;
	slot->order = ++w->order;
	slot->state = SLOT_LIVE;
	slot->stalled = false;
	slot->ticked_ms = clock_now_ms();
	slot->tick = atomic_load_explicit(memory_tick(&slot->domain->memory, slot->index),
					  memory_order_relaxed);
}

static bool is_permitted(const struct watcher *w, const struct slot *slot,
			 const struct descriptor *d, char why[DECODE_WHY_MAX])
{
	return allow_permits(w->options.allow, join_rules(slot), slot->domain->uid, d, why,
			     DECODE_WHY_MAX);
}

/*
 * There is no memory to take the slot's newest version now. The sweep finds it again, because what was seen last is
 * said to be the last good one.
 */
static void refuse_for_now(struct watcher *w, struct slot *slot)
{
	hold_refuse(w, slot, "the agent is out of memory; it tries again in a moment");
	slot->domain->last[slot->index] = slot->version;
}

void hold_accept(struct watcher *w, struct slot *slot, struct descriptor *d,
		 const struct drain_copy *copy)
{
	char why[DECODE_WHY_MAX] = "";
	struct instance *inst = NULL;
	bool gave_ip = d->ip[0] != '\0';

	d = complete(w, slot, d, why);
	ONEBEAT_CRASH_POINT("agent.take.completed");
	if (d && is_permitted(w, slot, d, why))
		inst = join(w, slot, d, why);
	if (!inst) {
		descriptor_unref(d);
		if (why[0])
			hold_refuse(w, slot, why);
		else
			refuse_for_now(w, slot);
		return;
	}
	assert(same_key(d, inst->key));
	ONEBEAT_CRASH_POINT("agent.take.joined");
	slot->gave_ip = gave_ip;
	take_descriptor(w, slot, d, copy->version);
	journal_descriptor(w, slot, copy->payload, copy->length);
	ONEBEAT_CRASH_POINT("agent.take.journalled");
	supersede(w, inst, slot);
	ONEBEAT_CRASH_POINT("agent.take.superseded");
	hold_release_leaving(w, inst);
	if (d->policy == ONEBEAT_OWNER && slot->lease && slot->lease->state == LEASE_OPEN &&
	    !lease_mind_process(slot->lease))
		hold_drop(w, slot); /* the owner is dead already */
	else
		instance_decide(w, inst);
}

static void take_version(struct watcher *w, struct slot *slot, const struct drain_copy *copy)
{
	char why[DECODE_WHY_MAX] = "";
	struct descriptor *d;

	if (copy->op == ONEBEAT_OP_WITHDRAW) {
		hold_forgive(w, slot);
		slot->withdrawn = true;
		if (slot->state == SLOT_LIVE)
			hold_drop(w, slot);
		else
			settle_slot(w, slot);
		return;
	}
	if (decode_descriptor(copy->payload, copy->length, &d, why) == 0)
		hold_accept(w, slot, d, copy);
	else if (why[0])
		hold_refuse(w, slot, why);
	else
		refuse_for_now(w, slot);
}

void hold_look(struct watcher *w, struct slot *slot)
{
	struct domain *d = slot->domain;
	int r;

	if (w->leaving || (slot->state != SLOT_GRANTED && slot->state != SLOT_LIVE))
		return;
	r = drain_read(&d->memory, slot->index, slot->generation,
		       slot->spoilt ? 0 : d->last[slot->index], &look_copy);
	if (r == DRAIN_SAME)
		return;
	if (r == DRAIN_UNSTABLE) {
		w->retry_due_ms = clock_now_ms() + 1;
		slot->retry = true;
		return;
	}
	d->last[slot->index] = look_copy.version;
	slot->spoilt = r == DRAIN_INVALID;
	if (r == DRAIN_INVALID)
		hold_refuse(w, slot, look_copy.why);
	else
		take_version(w, slot, &look_copy);
	if (slot->lease)
		grant_ahead(slot->lease);
}
