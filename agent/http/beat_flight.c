/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a beat after an attempt
 *
 * An answer below 500 ends it. A 5xx may be that server's own trouble: one other node is asked, and
 * if that one says nothing the 5xx was the answer. Without an answer every other usable node is
 * asked, each once, while there is time. At last it is lost if it was ever written, unsent if it
 * never was.
 *
 * A beat that goes on is bound to the node chosen here and waits in that node's own queue, so that
 * nothing has to be searched for a connection it may use.
 */
#include "http/beat_flight.h"

#include "http/beat_place.h"

/* The record is gone before done is called: the callee may submit again. */
static void finish(struct beat_lane *lane, struct beat_record *beat,
		   const struct http_result *result)
{
	void *tag = beat->tag;
	uint32_t serial = beat->serial;
	struct refusal *refusal = beat->refusal;

	beat->refusal = NULL;
	beat_record_recycle(&lane->pool, beat);
	lane->done(lane->ctx, tag, serial, result);
	refusal_free(refusal);
}

static void finish_answered(struct beat_lane *lane, struct beat_record *beat, int status,
			    uint32_t node, const char *body, size_t n_body)
{
	struct http_result result = {
		.end = HTTP_ANSWERED,
		.status = status,
		.body = body,
		.n_body = n_body,
		.node = http_nodes_name(lane->nodes, node),
		.why = "",
		.n_tried = http_round_count(&beat->round),
		.lost = beat->lost,
	};

	finish(lane, beat, &result);
}

static void finish_unanswered(struct beat_lane *lane, struct beat_record *beat, const char *why)
{
	struct http_result result = {
		.end = beat->lost ? HTTP_LOST : HTTP_UNSENT,
		.body = "",
		.node = http_nodes_name(lane->nodes, beat->node),
		.why = why,
		.n_tried = http_round_count(&beat->round),
		.lost = beat->lost,
	};

	finish(lane, beat, &result);
}

/* True when there is time and a usable node that the beat has not asked. */
static bool may_go_on(const struct beat_lane *lane, const struct beat_record *beat, uint32_t *node)
{
	*node = beat->node;
	return lane->now_ms < beat->due_ms &&
	       http_nodes_next(lane->nodes, &beat->round, lane->now_ms, node);
}

void beat_flight_answered(struct beat_lane *lane, struct beat_record *beat,
			  const struct framing_reply *reply)
{
	uint32_t node;

	if (reply->status >= 500)
		beat_place_slow(lane, beat);
	if (reply->status >= 500 && !beat->refusal && may_go_on(lane, beat, &node)) {
		beat->refusal = refusal_new(reply->status, beat->node, reply->body, reply->n_body);
		if (beat->refusal) {
			beat_place_at(lane, beat, node);
			return;
		}
	}
	finish_answered(lane, beat, reply->status, beat->node, reply->body, reply->n_body);
}

void beat_flight_failed(struct beat_lane *lane, struct beat_record *beat, const char *why)
{
	uint32_t node;

	if (may_go_on(lane, beat, &node))
		beat_place_at(lane, beat, node);
	else
		beat_flight_given_up(lane, beat, why);
}

void beat_flight_given_up(struct beat_lane *lane, struct beat_record *beat, const char *why)
{
	const struct refusal *refusal = beat->refusal;

	if (refusal)
		finish_answered(lane, beat, refusal->status, refusal->node, refusal->body,
				refusal->n_body);
	else
		finish_unanswered(lane, beat, why);
}

void beat_flight_divert(struct beat_lane *lane, uint32_t node)
{
	struct beat_record_queue diverted = { 0 };
	struct beat_record *beat;

	beat_record_move(&diverted, &lane->at[node].bound.queue);
	beat_record_move(&diverted, &lane->at[node].aside.queue);
	while ((beat = beat_record_pop(&diverted)) != NULL)
		beat_flight_failed(lane, beat, http_nodes_why(lane->nodes, node));
}
