/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of one connection to a node, and the requests in flight on it
 *
 * Replies come in the order of the requests, so those in flight are a queue. A slot outlives its
 * connections: when one ends by the server's habits (the last of a hundred requests, an idle
 * time-out) and a request was just on its way, that request stays in the slot and is written again
 * on the next connection. It may then be carried out twice, which a beat can bear; the node is not
 * to blame.
 *
 * The node is to blame for a connection that cannot be made, for one that ends before it ever
 * answered, for half a reply or garbage, and for silence through a whole attempt. Silence through
 * the rest of a time that an earlier node has used up proves nothing. Nor does what befalls one
 * request while the node answers others, or one instance's poisonous reply would hold up all of
 * them; nor silence about what another server has to answer.
 */
#include "http/beat_slot.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "http/beat_connect.h"
#include "http/beat_flight.h"
#include "http/beat_place.h"
#include "http/health.h"

#define BREAKS_FORGIVEN \
	2u /* in a row, after a whole reply: less than a second of a broken node's beats */

static const struct beat_conn_ops conn_ops;

int beat_slot_init(struct beat_slot *slot, struct beat_lane *lane, uint32_t node)
{
	*slot = (struct beat_slot){ .lane = lane, .node = node };
	return beat_conn_init(&slot->conn, lane->loop, lane->nodes->link,
			      lane->nodes->nodes[node].base, &conn_ops, slot);
}

void beat_slot_deinit(struct beat_slot *slot)
{
	/* One that was never initialised has no lane. */
	if (slot->lane)
		beat_conn_deinit(&slot->conn);
	*slot = (struct beat_slot){ 0 };
}

static struct beat_record *pop(struct beat_slot *slot)
{
	struct beat_record *beat = slot->inflight[0];

	assert(slot->n_inflight > 0);
	slot->n_inflight--;
	memmove(slot->inflight, slot->inflight + 1, slot->n_inflight * sizeof(slot->inflight[0]));
	return beat;
}

void beat_slot_abandon(struct beat_slot *slot, const char *why)
{
	assert(slot->conn.state == BEAT_CONN_CLOSED);
	while (slot->n_inflight > 0)
		beat_flight_failed(slot->lane, pop(slot), why);
}

/* What was written and is unanswered now may have been carried out. */
static void mark_lost(struct beat_slot *slot)
{
	for (uint32_t i = 0; i < slot->n_inflight && slot->conn.wrote; i++)
		slot->inflight[i]->lost = true;
}

static void blame_node(struct beat_slot *slot, const char *why)
{
	struct beat_lane *lane = slot->lane;

	health_failed(lane->nodes, slot->node, lane->now_ms, why);
	beat_slot_abandon(slot, why);
}

/* After a whole reply a few connections in a row may break. */
static bool spend_credit(struct beat_slot *slot)
{
	struct beat_node *at = &slot->lane->at[slot->node];

	if (at->credit == 0)
		return false;
	at->credit--;
	return true;
}

static bool answered_meanwhile(const struct beat_slot *slot)
{
	const struct beat_lane *lane = slot->lane;
	const struct beat_record *oldest = slot->inflight[0];
	uint32_t patience_ms = lane->nodes->n_in > 1 ? lane->timeouts.attempt_ms
						     : lane->timeouts.total_ms;

	return slot->n_inflight > 0 &&
	       lane->at[slot->node].answered_ms + patience_ms > oldest->attempt_due_ms;
}

/* The connection is closed, and the other side did it. */
static void connection_ended(struct beat_slot *slot, enum beat_conn_end end, const char *why)
{
	slot->lane->stirred = true;
	if (end != BEAT_CONN_REFUSED)
		mark_lost(slot);
	if (end == BEAT_CONN_QUIET && (slot->n_inflight == 0 || slot->conn.n_replies > 0))
		return;
	if (end != BEAT_CONN_REFUSED && spend_credit(slot))
		beat_slot_abandon(slot, why);
	else
		blame_node(slot, why);
}

void beat_slot_open(struct beat_slot *slot)
{
	slot->n_written = 0;
	if (beat_conn_open(&slot->conn, slot->lane->timeouts.connect_ms) < 0)
		connection_ended(slot, BEAT_CONN_REFUSED, "cannot begin to connect");
}

bool beat_slot_has_room(const struct beat_slot *slot)
{
	uint32_t limit = slot->lane->at[slot->node].limit;

	return slot->conn.state == BEAT_CONN_OPEN && slot->n_inflight < BEAT_DEPTH &&
	       (limit == 0 || slot->n_written < limit);
}

/*
 * Renders a beat into what the next push writes. One with a body brings the head lines that tell of it, and the
 * blank line stands before its body.
 */
static int put(struct beat_slot *slot, const struct beat_record *beat)
{
	struct beat_head *head = &slot->lane->at[slot->node].head;
	int r = beat_head_render(head, slot->lane->nodes, slot->node);
	struct beat_conn_part parts[] = { { beat->request, beat->n_request },
					  { head->text, head->n },
					  { beat->request + beat->n_request, beat->n_body } };

	if (beat->n_body > 0)
		parts[1].n -= sizeof(BEAT_HEAD_NO_BODY) - 1;
	if (r == 0)
		r = beat_conn_put(&slot->conn, parts, 3);
	if (r == 0)
		slot->n_written++;
	return r;
}

void beat_slot_hand(struct beat_slot *slot, struct beat_record *beat)
{
	const struct beat_lane *lane = slot->lane;
	const struct beat_timeouts *timeouts = &lane->timeouts;
	uint64_t full_ms = lane->now_ms +
			   (lane->nodes->n_in > 1 ? timeouts->attempt_ms : timeouts->total_ms);

	if (put(slot, beat) < 0) {
		beat_flight_given_up(slot->lane, beat, "out of memory");
		return;
	}
	if (slot->n_inflight == 0)
		slot->asked_ms = lane->now_ms;
	if (http_round_count(&beat->round) == 0)
		beat->due_ms = lane->now_ms + timeouts->total_ms;
	http_round_add(&beat->round, slot->node);
	beat->node = slot->node;
	beat->full_attempt = full_ms <= beat->due_ms;
	beat->attempt_due_ms = beat->full_attempt ? full_ms : beat->due_ms;
	slot->inflight[slot->n_inflight++] = beat;
}

void beat_slot_push(struct beat_slot *slot)
{
	if (beat_conn_push(&slot->conn) == 0)
		return;
	beat_conn_close(&slot->conn);
	connection_ended(slot, BEAT_CONN_QUIET, "connection reset without a reply");
}

/* A server that answers request n and goes on has no limit of n. */
static void learn_limit(struct beat_slot *slot, const struct framing_reply *reply)
{
	uint32_t *limit = &slot->lane->at[slot->node].limit;

	if (!reply->close && slot->conn.n_replies == *limit)
		*limit = 0;
	else if (reply->close && reply->status < 400)
		*limit = slot->conn.n_replies;
}

static bool silent(const struct beat_slot *slot)
{
	for (uint32_t i = 0; i < slot->n_inflight; i++) {
		if (slot->inflight[i]->attempt_due_ms <= slot->lane->now_ms)
			return true;
	}
	return false;
}

static void end_silence(struct beat_slot *slot)
{
	static const char why[] = "no reply in time";
	bool elsewhere = slot->aside || answered_meanwhile(slot);
	bool full = false;

	for (uint32_t i = 0; i < slot->n_inflight; i++)
		full = full || slot->inflight[i]->full_attempt;
	for (uint32_t i = 0; i < slot->n_inflight && elsewhere; i++)
		beat_place_slow(slot->lane, slot->inflight[i]);
	if (slot->conn.state == BEAT_CONN_OPEN)
		mark_lost(slot);
	beat_conn_close(&slot->conn);
	slot->lane->stirred = true;
	if (full && !elsewhere)
		blame_node(slot, why);
	else
		beat_slot_abandon(slot, why);
}

void beat_slot_tick(struct beat_slot *slot)
{
	const struct beat_lane *lane = slot->lane;

	beat_conn_tick(&slot->conn, lane->now_ms);
	if (silent(slot))
		end_silence(slot);
	else if (slot->conn.state == BEAT_CONN_OPEN && slot->n_inflight == 0 &&
		 lane->now_ms >= slot->used_ms + lane->timeouts.idle_ms)
		beat_conn_close(&slot->conn);
}

uint64_t beat_slot_due_ms(const struct beat_slot *slot)
{
	uint64_t due_ms = beat_conn_due_ms(&slot->conn);

	if (slot->conn.state == BEAT_CONN_OPEN && slot->n_inflight == 0)
		return slot->used_ms + slot->lane->timeouts.idle_ms;
	for (uint32_t i = 0; i < slot->n_inflight; i++) {
		if (slot->inflight[i]->attempt_due_ms < due_ms)
			due_ms = slot->inflight[i]->attempt_due_ms;
	}
	return due_ms;
}

/* A callback begins. Returns what leave() wants. */
static bool enter(struct beat_lane *lane)
{
	bool was_busy = lane->busy;

	if (!was_busy)
		lane->now_ms = clock_now_ms();
	lane->busy = true;
	return was_busy;
}

static void leave(struct beat_lane *lane, bool was_busy)
{
	lane->busy = was_busy;
}

static void on_opened(void *ctx)
{
	struct beat_slot *slot = ctx;
	bool was_busy = enter(slot->lane);

	slot->used_ms = slot->lane->now_ms;
	slot->asked_ms = slot->lane->now_ms;
	for (uint32_t i = 0; i < slot->n_inflight; i++) {
		if (put(slot, slot->inflight[i]) == 0)
			continue;
		beat_conn_close(&slot->conn);
		beat_slot_abandon(slot, "out of memory");
		slot->lane->stirred = true;
		break;
	}
	if (slot->n_inflight > 0)
		beat_slot_push(slot);
	leave(slot->lane, was_busy);
}

static void on_replied(void *ctx, const struct framing_reply *reply)
{
	struct beat_slot *slot = ctx;
	struct beat_lane *lane = slot->lane;
	bool was_busy = enter(lane);
	struct beat_record *beat = pop(slot);

	if (!slot->aside)
		beat_connect_took(lane, slot->node, lane->now_ms - slot->asked_ms);
	slot->used_ms = lane->now_ms;
	slot->asked_ms = lane->now_ms;
	lane->at[slot->node].answered_ms = lane->now_ms;
	lane->at[slot->node].credit = BREAKS_FORGIVEN;
	learn_limit(slot, reply);
	if (health_answered(lane->nodes, slot->node))
		lane->stirred = true;
	if (reply->close) {
		beat_conn_close(&slot->conn);
		lane->stirred = true;
	}
	beat_flight_answered(lane, beat, reply);
	leave(lane, was_busy);
}

static void on_ended(void *ctx, enum beat_conn_end end, const char *why)
{
	struct beat_slot *slot = ctx;
	bool was_busy = enter(slot->lane);

	connection_ended(slot, end, why);
	leave(slot->lane, was_busy);
}

static void on_turned(void *ctx)
{
	beat_lane_turned(ctx);
}

static const struct beat_conn_ops conn_ops = {
	.opened = on_opened,
	.replied = on_replied,
	.ended = on_ended,
	.turned = on_turned,
};
