/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_BEAT_STEPS_H
#define TESTS_LIB_BEAT_STEPS_H

/*
 * What the tests of the beat lane have in common
 *
 * Every beat's request line lives on the heap and is freed in done, so a lane that looks at one too long
 * is found by a sanitizer.
 */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "lib/http_steps.h"
#include "lib/httprig.h"

/* The time-outs of this lane, with some of them scaled. */
static inline void scale(struct httprig *rig, uint32_t attempt_ms, uint32_t total_ms,
			 uint32_t queue_ms, uint32_t idle_ms)
{
	struct beat_timeouts timeouts = BEAT_TIMEOUTS_DEFAULT;

	timeouts.attempt_ms = attempt_ms ? attempt_ms : timeouts.attempt_ms;
	timeouts.total_ms = total_ms ? total_ms : timeouts.total_ms;
	timeouts.queue_ms = queue_ms ? queue_ms : timeouts.queue_ms;
	timeouts.idle_ms = idle_ms ? idle_ms : timeouts.idle_ms;
	timeouts.slow_ms = LIMIT_MS; /* a machine's slowness is not the node's */
	beat_lane_set_timeouts(rig->beats, &timeouts);
}

static inline void free_request(struct httprig *rig, const struct httprig_result *result)
{
	(void)rig;
	free(result->tag);
}

static inline void submit(struct httprig *rig, uint32_t serial)
{
	char *request;
	int n = asprintf(&request, "PUT /beat?n=%u HTTP/1.1\r\n", serial);

	cr_assert_gt(n, 0);
	cr_assert_eq(beat_lane_submit(rig->beats, request, (uint32_t)n, request, serial), 0);
}

static inline void flush(struct httprig *rig)
{
	beat_lane_flush(rig->beats, clock_now_ms());
}

static inline void submit_many(struct httprig *rig, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		submit(rig, i);
	flush(rig);
}

static inline void init(struct httprig *rig, uint32_t n_servers, uint32_t n_connections)
{
	httprig_init(rig, n_servers);
	httprig_add_beats(rig, n_connections);
	scale(rig, 10000, 15000, 15000, 0); /* a slow machine is not what is tested */
	rig->then = free_request;
}

/* Beats one after the other, each answered before the next. */
static inline void beat_in_turn(struct httprig *rig, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t n_results = rig->n_results;

		submit(rig, i);
		flush(rig);
		cr_assert(httprig_run(rig, n_results + 1, LIMIT_MS));
	}
}

/* Every serial from 0 ended once, with this status. */
static inline void check_all(const struct httprig *rig, uint32_t n, int status)
{
	bool *seen = calloc(n, sizeof(*seen));

	cr_assert_not_null(seen);
	cr_assert_eq(rig->n_results, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct httprig_result *result = &rig->results[i];

		cr_assert_eq(result->end, HTTP_ANSWERED, "beat %u: %s", result->serial,
			     result->why);
		cr_assert_eq(result->status, status, "beat %u: %d", result->serial, result->status);
		cr_assert_lt(result->serial, n);
		cr_assert_not(seen[result->serial], "beat %u ended twice", result->serial);
		seen[result->serial] = true;
	}
	free(seen);
}

static inline void check_unanswered(const struct httprig_result *result, enum http_end end)
{
	cr_assert_eq(result->end, end, "ended as %d: %s", (int)result->end, result->why);
	cr_assert_eq(result->lost, end == HTTP_LOST);
	cr_assert_eq(result->status, 0);
	cr_assert_str_empty(result->body);
	cr_assert_str_not_empty(result->why);
}

static inline void check_healthy(const struct httprig *rig)
{
	for (uint32_t i = 0; i < rig->n_servers; i++)
		cr_assert_eq(rig->nodes.nodes[i].retry_ms, 0, "%s", rig->nodes.nodes[i].last_error);
}

#endif
