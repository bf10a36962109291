/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which queue a beat waits in
 *
 * In a cluster one server does the work for an instance, its owner; any other hands the request on and waits for the
 * answer. While an owner is frozen that takes seconds, and a connection can do nothing else meanwhile: a third of
 * the beats would hold up all of them. So
 *
 * - a beat whose owner is a node of ours goes there. When that one fails, its beats go to the others, but aside: to
 *   one connection of each node that has no other work. They may be late; those of living owners are not.
 * - where owners are not known, instances still have the same one or not (the group). A group whose beats a server
 *   was long over, or failed at, waits aside for some seconds. When most groups do badly it is not their
 *   owners, and nobody waits aside.
 */
#include "http/beat_place.h"

#define SLOW_MS 5000u

static bool slow_now(const struct beat_lane *lane, uint32_t group)
{
	return lane->slow_ms[group] > lane->now_ms;
}

static bool is_slow(const struct beat_lane *lane, const struct beat_record *beat)
{
	uint32_t n_slow = 0;

	if (beat->way.group == HTTP_NOWHERE || !slow_now(lane, beat->way.group))
		return false;
	for (uint32_t i = 0; i < lane->n_groups; i++)
		n_slow += slow_now(lane, i);
	return n_slow * 2 <= lane->n_groups;
}

void beat_place_slow(struct beat_lane *lane, const struct beat_record *beat)
{
	if (beat->way.group != HTTP_NOWHERE)
		lane->slow_ms[beat->way.group] = lane->now_ms + SLOW_MS;
}

void beat_place_at(struct beat_lane *lane, struct beat_record *beat, uint32_t node)
{
	bool at_home = beat->way.home == node;
	bool aside = beat->way.home == HTTP_NOWHERE ? is_slow(lane, beat) : !at_home;
	struct beat_waiting *waiting = aside ? &lane->at[node].aside : &lane->at[node].bound;

	beat->node = node;
	if (waiting->queue.n == 0 || beat->due_ms < waiting->due_ms)
		waiting->due_ms = beat->due_ms;
	beat_record_push(&waiting->queue, beat);
	lane->stirred = true;
}

/* A suspect at home is given one beat, to see; the others do not wait for that. */
static bool may_go_home(const struct beat_lane *lane, uint32_t home)
{
	const struct beat_node *at = &lane->at[home];

	if (!http_nodes_usable(lane->nodes, home, lane->now_ms))
		return false;
	if (lane->nodes->nodes[home].retry_ms == 0)
		return true;
	for (uint32_t i = 0; i < at->n_slots; i++) {
		if (at->slots[i].n_inflight > 0)
			return false;
	}
	return at->bound.queue.n == 0;
}

bool beat_place(struct beat_lane *lane, struct beat_record *beat)
{
	uint32_t home = beat->way.home;
	uint32_t node;

	if (beat->way.group != HTTP_NOWHERE && beat->way.group >= lane->n_groups)
		lane->n_groups = beat->way.group + 1u;
	if (home == HTTP_NOWHERE && !is_slow(lane, beat)) {
		beat_record_push(&lane->queue, beat);
		return true;
	}
	node = home;
	if (home == HTTP_NOWHERE || !may_go_home(lane, home))
		node = http_nodes_start(lane->nodes);
	beat->node = node;
	if (!http_nodes_usable(lane->nodes, node, lane->now_ms))
		return false;
	beat_place_at(lane, beat, node);
	return true;
}

/* What was learned of its group meanwhile counts: a queue of them would fill every connection. */
static struct beat_record *take_swift(struct beat_lane *lane, struct beat_record_queue *queue,
				      uint32_t node)
{
	struct beat_record *beat;

	while ((beat = beat_record_pop(queue)) != NULL && beat->way.home == HTTP_NOWHERE &&
	       is_slow(lane, beat))
		beat_place_at(lane, beat, node);
	return beat;
}

struct beat_record *beat_place_take(struct beat_slot *slot)
{
	struct beat_lane *lane = slot->lane;
	struct beat_node *at = &lane->at[slot->node];
	struct beat_record *beat;

	if (slot->aside)
		return beat_record_pop(&at->aside.queue);
	beat = take_swift(lane, &at->bound.queue, slot->node);
	return beat ? beat : take_swift(lane, &lane->queue, slot->node);
}

struct beat_record *beat_place_overdue(struct beat_waiting *waiting, uint64_t now_ms)
{
	struct beat_record_queue kept = { 0 };
	struct beat_record *beat, *overdue = NULL;

	if (waiting->queue.n == 0 || waiting->due_ms > now_ms)
		return NULL;
	waiting->due_ms = UINT64_MAX;
	while ((beat = beat_record_pop(&waiting->queue)) != NULL) {
		if (beat->due_ms <= now_ms && !overdue) {
			overdue = beat;
			continue;
		}
		if (beat->due_ms < waiting->due_ms)
			waiting->due_ms = beat->due_ms;
		beat_record_push(&kept, beat);
	}
	beat_record_move(&waiting->queue, &kept);
	return overdue;
}
