/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The beat lane: many small requests over few kept connections
 *
 * Beats wait in one queue. Whichever connection is idle takes the first of them, so a slow node
 * gets less and no beat waits behind another one's reply. Connections are opened when beats wait
 * and none is idle, and are kept (beat_connect.c).
 *
 * A suspect node gets at most one beat at a time, and only when its back-off is over: that one is
 * the probe. It is sent while other nodes do the work, so that a node that is back is noticed. When
 * no node may be asked, what waits ends as unsent at once: the sender knows best when to try again.
 *
 * A node that has left the list is given nothing more; its beats in flight come to their end, and its
 * connections are closed as they fall idle.
 *
 * A beat that goes on to another node is bound to that one and waits in the node's own queue
 * (beat_flight.c). A beat whose connection closed under it stays in its slot (beat_slot.c).
 *
 * Everything happens in turns: a flush, a tick or a connection's events note what changed, and one
 * dispatch at the end of the turn hands beats out. So no call nests in another of its kind, and
 * what done submits waits for the next flush. One thread.
 */
#include "http/beat_lane.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/beat_connect.h"
#include "http/beat_flight.h"
#include "http/beat_place.h"
#include "http/beat_slot.h"
#include "http/beat_state.h"
#include "http/health.h"

static int node_init(struct beat_lane *lane, uint32_t node)
{
	struct beat_node *at = &lane->at[node];

	if (beat_head_render(&at->head, lane->nodes, node) < 0)
		return -ENOMEM;
	at->slots = calloc(beat_connect_most(lane) + 1, sizeof(*at->slots));
	if (!at->slots)
		return -ENOMEM;
	while (at->n_slots <= lane->n_connections) {
		int r = beat_slot_init(&at->slots[at->n_slots++], lane, node);

		if (r < 0)
			return r;
	}
	at->slots[lane->n_connections].aside = true;
	return 0;
}

static void node_deinit(struct beat_node *at)
{
	for (uint32_t i = 0; i < at->n_slots; i++)
		beat_slot_deinit(&at->slots[i]);
	free(at->slots);
	beat_head_deinit(&at->head);
	*at = (struct beat_node){ 0 };
}

int beat_lane_new(struct beat_lane **out, struct loop *loop, struct http_nodes *nodes,
		  uint32_t n_connections, http_done_fn done, void *ctx)
{
	struct beat_lane *lane = calloc(1, sizeof(*lane));
	int r = 0;

	assert(n_connections > 0);
	*out = NULL;
	if (!lane)
		return -ENOMEM;
	lane->loop = loop;
	lane->nodes = nodes;
	lane->n_connections = n_connections;
	lane->done = done;
	lane->ctx = ctx;
	lane->timeouts = (struct beat_timeouts)BEAT_TIMEOUTS_DEFAULT;
	lane->cursor = http_nodes_start(nodes);
	lane->at = calloc(HTTP_NODES_MAX, sizeof(*lane->at));
	if (!lane->at)
		r = -ENOMEM;
	for (uint32_t i = 0; i < nodes->n_nodes && r == 0; i++)
		r = node_init(lane, i);
	if (r < 0) {
		beat_lane_free(lane);
		return r;
	}
	*out = lane;
	return 0;
}

struct beat_lane *beat_lane_free(struct beat_lane *lane)
{
	if (!lane)
		return NULL;
	assert(!lane->busy);
	for (uint32_t i = 0; lane->at && i < lane->nodes->n_nodes; i++)
		node_deinit(&lane->at[i]);
	free(lane->at);
	beat_record_pool_deinit(&lane->pool);
	free(lane);
	return NULL;
}

int beat_lane_add_node(struct beat_lane *lane, uint32_t node)
{
	int r;

	assert(!lane->busy && !beat_lane_uses(lane, node));
	node_deinit(&lane->at[node]);
	r = node_init(lane, node);
	if (r < 0)
		node_deinit(&lane->at[node]);
	return r;
}

bool beat_lane_uses(const struct beat_lane *lane, uint32_t node)
{
	const struct beat_node *at = &lane->at[node];

	for (uint32_t i = 0; i < at->n_slots; i++) {
		if (at->slots[i].n_inflight > 0 || at->slots[i].conn.state != BEAT_CONN_CLOSED)
			return true;
	}
	return at->bound.queue.n + at->aside.queue.n > 0;
}

void beat_lane_list_changed(struct beat_lane *lane)
{
	lane->again = true;
}

void beat_lane_set_timeouts(struct beat_lane *lane, const struct beat_timeouts *timeouts)
{
	lane->timeouts = *timeouts;
}

int beat_lane_submit_to(struct beat_lane *lane, const char *request, uint32_t n_request, void *tag,
			uint32_t serial, struct http_way way)
{
	return beat_lane_submit_full(lane, request, n_request, 0, tag, serial, way);
}

int beat_lane_submit_full(struct beat_lane *lane, const char *request, uint32_t n_request,
			  uint32_t n_body, void *tag, uint32_t serial, struct http_way way)
{
	struct beat_record *beat = beat_record_new(&lane->pool);

	if (!beat)
		return -ENOMEM;
	beat->request = request;
	beat->n_request = n_request;
	beat->n_body = n_body;
	beat->tag = tag;
	beat->serial = serial;
	beat->way = way;
	beat_record_push(&lane->submitted, beat);
	return 0;
}

int beat_lane_submit(struct beat_lane *lane, const char *request, uint32_t n_request, void *tag,
		     uint32_t serial)
{
	return beat_lane_submit_to(lane, request, n_request, tag, serial, HTTP_ANYWHERE);
}

static struct beat_slot *slot_at(const struct beat_lane *lane, uint32_t node, uint32_t i)
{
	return &lane->at[node].slots[i];
}

static bool usable(const struct beat_lane *lane, uint32_t node)
{
	return http_nodes_usable(lane->nodes, node, lane->now_ms);
}

/* Gives a slot what it can take, and writes it. */
static void fill(struct beat_lane *lane, struct beat_slot *slot)
{
	bool handed = false;

	while (beat_slot_has_room(slot) && beat_connect_admits(lane, slot->node)) {
		struct beat_record *beat = beat_place_take(slot);

		if (!beat)
			break;
		beat_slot_hand(slot, beat);
		handed = true;
	}
	if (handed)
		beat_slot_push(slot);
}

/*
 * Beats whose connection closed under them get a new one, or another node if theirs has failed
 * meanwhile. An idle connection that has had all its requests makes room for a new one.
 */
static void mend(struct beat_lane *lane, struct beat_slot *slot)
{
	const struct http_node *node = &lane->nodes->nodes[slot->node];

	if (slot->n_inflight == 0 &&
	    (node->out || beat_connect_spare(slot) ||
	     (slot->conn.state == BEAT_CONN_OPEN && !beat_slot_has_room(slot))))
		beat_conn_close(&slot->conn);
	if (slot->conn.state != BEAT_CONN_CLOSED || slot->n_inflight == 0)
		return;
	if (usable(lane, slot->node))
		beat_slot_open(slot);
	else
		beat_slot_abandon(slot, http_nodes_why(lane->nodes, slot->node));
}

static void hand_out(struct beat_lane *lane)
{
	const uint32_t n_nodes = lane->nodes->n_nodes;

	uint32_t n_slots = 1;

	for (uint32_t round = 0; round < n_slots; round++) {
		for (uint32_t i = 0; i < n_nodes; i++) {
			uint32_t node = (lane->cursor + i) % n_nodes;

			if (lane->at[node].n_slots > n_slots)
				n_slots = lane->at[node].n_slots;
			if (round < lane->at[node].n_slots)
				fill(lane, slot_at(lane, node, round));
		}
	}
	if (n_nodes > 0)
		lane->cursor = (lane->cursor + 1) % n_nodes;
}

/* No node may be asked: nobody waits for that to change. */
static void fail_fast(struct beat_lane *lane)
{
	struct beat_record_queue given_up = { 0 };
	struct beat_record *beat;
	uint32_t node;

	for (node = 0; node < lane->nodes->n_nodes; node++) {
		if (usable(lane, node))
			return;
	}
	node = http_nodes_start(lane->nodes);
	beat_record_move(&given_up, &lane->queue);
	while ((beat = beat_record_pop(&given_up)) != NULL) {
		beat->node = node;
		beat_flight_given_up(lane, beat, http_nodes_why(lane->nodes, node));
	}
}

/* Beats that were flushed find their queues; those that none can take end. */
static void place_flushed(struct beat_lane *lane)
{
	struct beat_record *beat;

	while ((beat = beat_record_pop(&lane->flushed)) != NULL) {
		if (!beat_place(lane, beat))
			beat_flight_given_up(lane, beat, http_nodes_why(lane->nodes, beat->node));
	}
}

/* Brings work and connections together until nothing changes any more. */
static void dispatch(struct beat_lane *lane)
{
	assert(lane->busy);
	do {
		lane->stirred = false;
		place_flushed(lane);
		for (uint32_t node = 0; node < lane->nodes->n_nodes; node++) {
			for (uint32_t i = 0; i < lane->at[node].n_slots; i++)
				mend(lane, slot_at(lane, node, i));
		}
		hand_out(lane);
		beat_connect(lane);
		fail_fast(lane);
	} while (lane->stirred);
}

void beat_lane_turned(struct beat_slot *slot)
{
	struct beat_lane *lane = slot->lane;

	if (lane->busy)
		return; /* the turn that is under way will dispatch */
	lane->busy = true;
	lane->now_ms = clock_now_ms();
	/* The common case is one reply and one connection that is idle again. */
	if (!lane->stirred)
		fill(lane, slot);
	if (lane->stirred)
		dispatch(lane);
	lane->busy = false;
}

void beat_lane_flush(struct beat_lane *lane, uint64_t now_ms)
{
	if (lane->submitted.n == 0)
		return;
	for (struct beat_record *beat = lane->submitted.first; beat; beat = beat->next)
		beat->due_ms = now_ms + lane->timeouts.queue_ms;
	beat_record_move(&lane->flushed, &lane->submitted);
	if (lane->busy) {
		lane->again = true;
		return;
	}
	lane->busy = true;
	lane->now_ms = now_ms;
	dispatch(lane);
	lane->busy = false;
}

static void give_up_queued(struct beat_lane *lane)
{
	while (lane->queue.first && lane->queue.first->due_ms <= lane->now_ms)
		beat_flight_given_up(lane, beat_record_pop(&lane->queue),
				     "no connection was free in time");
}

static void give_up_waiting(struct beat_lane *lane, struct beat_waiting *waiting)
{
	struct beat_record *beat;

	while ((beat = beat_place_overdue(waiting, lane->now_ms)) != NULL)
		beat_flight_given_up(lane, beat, "no connection to another node was free in time");
}

void beat_lane_tick(struct beat_lane *lane, uint64_t now_ms)
{
	assert(!lane->busy);
	if (beat_lane_due_ms(lane) > now_ms)
		return;
	lane->busy = true;
	lane->again = false;
	lane->now_ms = now_ms;
	for (uint32_t node = 0; node < lane->nodes->n_nodes; node++) {
		for (uint32_t i = 0; i < lane->at[node].n_slots; i++)
			beat_slot_tick(slot_at(lane, node, i));
		give_up_waiting(lane, &lane->at[node].bound);
		give_up_waiting(lane, &lane->at[node].aside);
	}
	give_up_queued(lane);
	dispatch(lane);
	lane->busy = false;
}

uint64_t beat_lane_due_ms(const struct beat_lane *lane)
{
	uint64_t due_ms = lane->queue.first ? lane->queue.first->due_ms : CLOCK_NEVER;

	if (lane->again)
		return 0;
	for (uint32_t node = 0; node < lane->nodes->n_nodes; node++) {
		const struct beat_node *at = &lane->at[node];

		if (at->bound.queue.n > 0 && at->bound.due_ms < due_ms)
			due_ms = at->bound.due_ms;
		if (at->aside.queue.n > 0 && at->aside.due_ms < due_ms)
			due_ms = at->aside.due_ms;
		for (uint32_t i = 0; i < at->n_slots; i++) {
			uint64_t slot_due_ms = beat_slot_due_ms(&at->slots[i]);

			if (slot_due_ms < due_ms)
				due_ms = slot_due_ms;
		}
	}
	return due_ms;
}

uint32_t beat_lane_connections(const struct beat_lane *lane, uint32_t node)
{
	return beat_connect_count(lane, node, BEAT_CONN_OPEN);
}
