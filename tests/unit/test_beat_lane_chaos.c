/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The beat lane against servers that make it up as they go
 *
 * Three servers play made-up scripts (the same in every run): good replies, refusals, halves, garbage, closed,
 * reset and silent connections, in any order.
 */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdint.h>

#include "lib/beat_steps.h"
#include "lib/http_steps.h"
#include "lib/httprig.h"

/* A number below n, the same in every run. */
static uint32_t draw(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 16) % n;
}

/* A few exchanges of some kind, and some end. */
static void improvise(struct byteserver_step *steps, uint32_t *seed)
{
	static const char *const replies[] = {
		HTTPRIG_OK_TEXT,
		HTTPRIG_OK_TEXT,
		HTTPRIG_OK_TEXT,
		LAST_TEXT,
		REFUSED_TEXT,
		"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\nhalf",
		"garbage",
	};
	static const enum byteserver_act ends[] = { BYTESERVER_CLOSE, BYTESERVER_RESET,
						    BYTESERVER_AGAIN, BYTESERVER_END };
	uint32_t n = draw(seed, 5);

	for (uint32_t i = 0; i < n; i++) {
		*steps++ = (struct byteserver_step){ .act = BYTESERVER_EXPECT };
		*steps++ = (struct byteserver_step){ .act = BYTESERVER_SEND,
						     .text = replies[draw(seed, 8)],
						     .split = draw(seed, 4) ? 0
									    : 1 + draw(seed, 40) };
	}
	if (draw(seed, 2))
		*steps++ = (struct byteserver_step){ .act = BYTESERVER_EXPECT };
	*steps++ = (struct byteserver_step){ .act = ends[draw(seed, n ? 4 : 2)] };
	*steps = (struct byteserver_step){ .act = BYTESERVER_END };
}

#define CHAOS_SCRIPTS 8u
#define CHAOS_BEATS 40u
#define CHAOS_ROUNDS 5u

static void check_chaos(uint32_t seed)
{
	struct byteserver_step steps[3][CHAOS_SCRIPTS][16];
	const struct byteserver_step *scripts[3][CHAOS_SCRIPTS];
	bool seen[CHAOS_ROUNDS * CHAOS_BEATS] = { false };
	struct httprig rig;

	init(&rig, 3, 2);
	scale(&rig, 50, 100, 100, 0);
	for (uint32_t i = 0; i < 3; i++) {
		for (uint32_t k = 0; k < CHAOS_SCRIPTS; k++) {
			improvise(steps[i][k], &seed);
			scripts[i][k] = steps[i][k];
		}
		cr_assert(byteserver_start(rig.servers[i], scripts[i], CHAOS_SCRIPTS));
	}
	for (uint32_t i = 0; i < CHAOS_ROUNDS * CHAOS_BEATS; i++) {
		submit(&rig, i);
		if (i % CHAOS_BEATS == CHAOS_BEATS - 1) {
			flush(&rig);
			cr_assert(httprig_run(&rig, i + 1 - CHAOS_BEATS / 2, LIMIT_MS));
		}
	}
	cr_assert(httprig_run(&rig, CHAOS_ROUNDS * CHAOS_BEATS, LIMIT_MS));
	for (uint32_t i = 0; i < rig.n_results; i++) {
		const struct httprig_result *result = &rig.results[i];

		cr_assert_not(seen[result->serial], "beat %u ended twice", result->serial);
		seen[result->serial] = true;
		cr_assert_eq(result->end == HTTP_ANSWERED, result->status >= 200);
		cr_assert_eq(result->end == HTTP_ANSWERED, result->why[0] == '\0');
		cr_assert_leq(result->n_tried, 3);
	}
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_leq(byteserver_max_open(rig.servers[i]), 2);
	httprig_deinit(&rig);
}

/* Servers at their worst: every beat still ends, once, and no deadline is missed by the lane. */
Test(beat_lane_chaos, ends_every_beat_once_whatever_the_servers_do)
{
	for (uint32_t seed = 1; seed <= 10; seed++)
		check_chaos(seed);
}
