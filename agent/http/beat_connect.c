/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections a node gets
 *
 * n_connections, opened when beats wait and none is idle. Two of them carry thousands of beats a second to a node
 * that answers at once, 1,000 instances of 5 s at 10 ms a reply, and 40 a second to one that takes 50 ms: what that one owns in a cluster goes to no other, so its
 * beats would come too late. A node that has been slow several times in a row, and answers, gets SLOW_TIMES as many
 * while beats wait; they are closed when it is swift again. One that does not answer at all is suspect, and gets one.
 */
#include "http/beat_connect.h"

#include "http/beat_flight.h"
#include "http/beat_slot.h"

#define SLOW_TIMES 8u
/* A pause of this process, or of a collector over there, is not slowness. */
#define SLOW_IN_A_ROW 8u

static struct beat_slot *slot_at(const struct beat_lane *lane, uint32_t node, uint32_t i)
{
	return &lane->at[node].slots[i];
}

static bool usable(const struct beat_lane *lane, uint32_t node)
{
	return http_nodes_usable(lane->nodes, node, lane->now_ms);
}

static bool suspect(const struct beat_lane *lane, uint32_t node)
{
	return lane->nodes->nodes[node].retry_ms != 0;
}

static bool is_slow(const struct beat_node *at)
{
	return at->n_slow >= SLOW_IN_A_ROW;
}

void beat_connect_took(struct beat_lane *lane, uint32_t node, uint64_t ms)
{
	struct beat_node *at = &lane->at[node];
	bool was_slow = is_slow(at);

	if (ms < lane->timeouts.slow_ms)
		at->n_slow /= 2;
	else if (at->n_slow < 2 * SLOW_IN_A_ROW - 1)
		at->n_slow++;
	if (is_slow(at) != was_slow)
		lane->stirred = true;
}

uint32_t beat_connect_most(const struct beat_lane *lane)
{
	return lane->n_connections * SLOW_TIMES;
}

/* The one aside stands behind the ordinary ones, those for a slow node behind that. */
bool beat_connect_spare(const struct beat_slot *slot)
{
	const struct beat_node *at = &slot->lane->at[slot->node];

	return slot > &at->slots[slot->lane->n_connections] && !is_slow(at);
}

uint32_t beat_connect_count(const struct beat_lane *lane, uint32_t node, enum beat_conn_state state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < lane->at[node].n_slots; i++)
		n += slot_at(lane, node, i)->conn.state == state && !slot_at(lane, node, i)->aside;
	return n;
}

/* Beats are on their way to the node, or a connection is. */
static bool node_works(const struct beat_lane *lane, uint32_t node)
{
	for (uint32_t i = 0; i < lane->at[node].n_slots; i++) {
		if (slot_at(lane, node, i)->n_inflight > 0)
			return true;
	}
	return beat_connect_count(lane, node, BEAT_CONN_CONNECTING) > 0;
}

bool beat_connect_admits(const struct beat_lane *lane, uint32_t node)
{
	return usable(lane, node) && (!suspect(lane, node) || !node_works(lane, node));
}

static bool may_open(const struct beat_slot *slot)
{
	return slot->conn.state == BEAT_CONN_CLOSED && slot->n_inflight == 0 && !slot->aside &&
	       !beat_connect_spare(slot);
}

/* One place more at a slow node. Without memory for it the node goes on with what it has. */
static bool add_slot(struct beat_lane *lane, uint32_t node)
{
	struct beat_node *at = &lane->at[node];
	struct beat_slot *slot = &at->slots[at->n_slots];

	if (!is_slow(at) || at->n_slots > beat_connect_most(lane))
		return false;
	if (beat_slot_init(slot, lane, node) < 0) {
		beat_slot_deinit(slot);
		return false;
	}
	at->n_slots++;
	return true;
}

/* Opens up to n of a node's closed slots; a suspect's only one. */
static uint32_t connect_some(struct beat_lane *lane, uint32_t node, uint32_t n)
{
	uint32_t n_opened = 0;

	for (uint32_t i = 0; n_opened < n && (i < lane->at[node].n_slots || add_slot(lane, node));
	     i++) {
		if (!may_open(slot_at(lane, node, i)))
			continue;
		if (!beat_connect_admits(lane, node))
			break;
		beat_slot_open(slot_at(lane, node, i));
		n_opened++;
	}
	return n_opened;
}

static void connect_aside(struct beat_lane *lane, uint32_t node)
{
	struct beat_slot *slot = slot_at(lane, node, lane->n_connections);

	if (lane->at[node].aside.queue.n > 0 && slot->conn.state == BEAT_CONN_CLOSED &&
	    slot->n_inflight == 0 && beat_connect_admits(lane, node))
		beat_slot_open(slot);
}

/* Connections for the beats that only this node is to get; for a suspect, one to probe it with. */
static void connect_for_node(struct beat_lane *lane, uint32_t node)
{
	uint32_t n_coming = beat_connect_count(lane, node, BEAT_CONN_CONNECTING);
	uint32_t n_bound = lane->at[node].bound.queue.n;

	if (lane->at[node].n_slots == 0)
		return;
	if (!usable(lane, node)) {
		beat_flight_divert(lane, node);
		return;
	}
	connect_aside(lane, node);
	if (n_bound > n_coming)
		connect_some(lane, node, n_bound - n_coming);
	else if (suspect(lane, node) && lane->queue.n > 0 &&
		 beat_connect_count(lane, node, BEAT_CONN_OPEN) == 0)
		connect_some(lane, node, 1);
}

/* Connections for the queue, one for each healthy node in turn, from a random start. */
static void connect_for_queue(struct beat_lane *lane)
{
	const uint32_t n_nodes = lane->nodes->n_nodes;
	uint32_t start = http_nodes_start(lane->nodes);
	uint32_t n_coming = 0, n_opened = 1;

	for (uint32_t node = 0; node < n_nodes; node++) {
		if (!suspect(lane, node))
			n_coming += beat_connect_count(lane, node, BEAT_CONN_CONNECTING);
	}
	while (n_opened > 0) {
		n_opened = 0;
		for (uint32_t i = 0; i < n_nodes && n_coming + n_opened < lane->queue.n; i++) {
			uint32_t node = (start + i) % n_nodes;

			if (!suspect(lane, node) && lane->at[node].n_slots > 0)
				n_opened += connect_some(lane, node, 1);
		}
		n_coming += n_opened;
	}
}

void beat_connect(struct beat_lane *lane)
{
	for (uint32_t node = 0; node < lane->nodes->n_nodes; node++)
		connect_for_node(lane, node);
	connect_for_queue(lane);
}
