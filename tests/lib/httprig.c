/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of both lanes stand on
 *
 * The rig turns the loop exactly as the sender does: tick, wait no longer than the lanes' due times
 * say, tick. So a lane that forgets to say when it is due makes a test run into its limit.
 */
#include "lib/httprig.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

/* A test that cannot be set up is a failed test. */
static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "httprig: %s failed\n", what);
	abort();
}

const struct byteserver_step httprig_ok[] = {
	HTTPRIG_OK,
	{ .act = BYTESERVER_AGAIN },
	{ .act = BYTESERVER_END },
};

void httprig_init(struct httprig *rig, uint32_t n_servers)
{
	const char *urls[HTTPRIG_SERVERS_MAX] = { NULL };

	*rig = (struct httprig){ .loop = LOOP_NULL, .n_servers = n_servers };
	log_set_level(LOG_LEVEL_ERROR); /* nodes that go down are what the tests are made of */
	must(n_servers <= HTTPRIG_SERVERS_MAX, "number of servers");
	for (uint32_t i = 0; i < n_servers; i++) {
		rig->servers[i] = byteserver_new();
		must(rig->servers[i] != NULL, "byteserver_new");
		urls[i] = byteserver_url(rig->servers[i]);
	}
	must(http_nodes_init(&rig->nodes, urls, n_servers, 42) == 0, "http_nodes_init");
	must(loop_init(&rig->loop) == 0, "loop_init");
}

static void on_done(void *ctx, void *tag, uint32_t serial, const struct http_result *result)
{
	struct httprig *rig = ctx;
	struct httprig_result *r;

	rig->results = reallocarray(rig->results, rig->n_results + 1, sizeof(*rig->results));
	must(rig->results != NULL, "reallocarray");
	r = &rig->results[rig->n_results++];
	*r = (struct httprig_result){
		.tag = tag,
		.serial = serial,
		.end = result->end,
		.status = result->status,
		.n_body = result->n_body,
		.n_tried = result->n_tried,
		.lost = result->lost,
	};
	snprintf(r->body, sizeof(r->body), "%s", result->body);
	snprintf(r->node, sizeof(r->node), "%s", result->node);
	snprintf(r->why, sizeof(r->why), "%s", result->why);
	if (rig->then) {
		struct httprig_result copy = *r; /* then may submit what ends at once */

		rig->then(rig, &copy);
	}
}

void httprig_add_beats(struct httprig *rig, uint32_t n_connections)
{
	must(beat_lane_new(&rig->beats, &rig->loop, &rig->nodes, n_connections, on_done, rig) == 0,
	     "beat_lane_new");
}

void httprig_add_requests(struct httprig *rig, uint32_t n_connections)
{
	must(request_lane_new(&rig->requests, &rig->loop, &rig->nodes, n_connections, on_done,
			      rig) == 0,
	     "request_lane_new");
}

void httprig_start(struct httprig *rig, uint32_t i, const struct byteserver_step *script)
{
	/* Outlives the server, which looks at it until it stops. */
	static const struct byteserver_step *scripts[HTTPRIG_SERVERS_MAX];

	scripts[i] = script;
	must(byteserver_start(rig->servers[i], &scripts[i], 1), "byteserver_start");
}

void httprig_deinit(struct httprig *rig)
{
	rig->beats = beat_lane_free(rig->beats);
	rig->requests = request_lane_free(rig->requests);
	http_nodes_deinit(&rig->nodes);
	loop_deinit(&rig->loop);
	for (uint32_t i = 0; i < rig->n_servers; i++)
		rig->servers[i] = byteserver_free(rig->servers[i]);
	free(rig->results);
}

static uint64_t due(const struct httprig *rig)
{
	uint64_t beats_ms = rig->beats ? beat_lane_due_ms(rig->beats) : CLOCK_NEVER;
	uint64_t requests_ms = rig->requests ? request_lane_due_ms(rig->requests) : CLOCK_NEVER;

	return beats_ms < requests_ms ? beats_ms : requests_ms;
}

static void turn(struct httprig *rig, uint64_t limit_ms)
{
	uint64_t due_ms = due(rig) < limit_ms ? due(rig) : limit_ms;

	must(loop_turn(&rig->loop, clock_wait_ms(clock_now_ms(), due_ms)) >= 0, "loop_turn");
	if (rig->beats)
		beat_lane_tick(rig->beats, clock_now_ms());
	if (rig->requests)
		request_lane_tick(rig->requests, clock_now_ms());
}

bool httprig_run(struct httprig *rig, uint32_t n_results, uint32_t limit_ms)
{
	uint64_t end_ms = clock_now_ms() + limit_ms;

	while (rig->n_results < n_results && clock_now_ms() < end_ms)
		turn(rig, end_ms);
	return rig->n_results >= n_results;
}

bool httprig_run_until(struct httprig *rig, bool (*holds)(struct httprig *rig), uint32_t limit_ms)
{
	uint64_t end_ms = clock_now_ms() + limit_ms;

	/* In small steps, because what is waited for may depend on the time alone. */
	while (!holds(rig) && clock_now_ms() < end_ms)
		turn(rig, clock_now_ms() + 10);
	return holds(rig);
}
