/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The beat lane: how many connections a node gets
 */
#include <criterion/criterion.h>

#include "http/beat_connect.h"
#include "lib/beat_steps.h"

#define SLOWLY EXPECT, WAIT(150), SEND(HTTPRIG_OK_TEXT)
#define OK_8                                                                                \
	HTTPRIG_OK, HTTPRIG_OK, HTTPRIG_OK, HTTPRIG_OK, HTTPRIG_OK, HTTPRIG_OK, HTTPRIG_OK, \
		HTTPRIG_OK
#define SLOWLY_8 SLOWLY, SLOWLY, SLOWLY, SLOWLY, SLOWLY, SLOWLY, SLOWLY, SLOWLY

static const struct byteserver_step slow[] = { SLOWLY, AGAIN, END };

static void init_minding_slowness(struct httprig *rig, uint32_t n_servers, uint32_t n_connections)
{
	struct beat_timeouts timeouts = BEAT_TIMEOUTS_DEFAULT;

	init(rig, n_servers, n_connections);
	timeouts.attempt_ms = timeouts.total_ms = timeouts.queue_ms = LIMIT_MS;
	timeouts.slow_ms = 100; /* what a checker on a busy machine stays below */
	beat_lane_set_timeouts(rig->beats, &timeouts);
}

static bool spares_closed(struct httprig *rig)
{
	return beat_lane_connections(rig->beats, 0) <= 2;
}

Test(beat_connect, slow_replies_count_and_swift_ones_halve)
{
	struct beat_node at = { 0 };
	struct beat_lane lane = { .at = &at, .timeouts = BEAT_TIMEOUTS_DEFAULT };

	for (uint32_t i = 0; i < 100; i++)
		beat_connect_took(&lane, 0, 9);
	cr_assert_eq(at.n_slow, 0);
	cr_assert_not(lane.stirred);
	for (uint32_t i = 0; i < 8; i++)
		beat_connect_took(&lane, 0, 10);
	cr_assert(lane.stirred, "nobody would look for it");
	for (uint32_t i = 0; i < 100; i++)
		beat_connect_took(&lane, 0, 10);
	cr_assert_eq(at.n_slow, 15, "a swift node would stay slow for long");
	lane.stirred = false;
	beat_connect_took(&lane, 0, 0);
	cr_assert_eq(at.n_slow, 7);
	cr_assert(lane.stirred, "its connections would stay");
}

/* 100 beats of 150 ms each are 7.5 s over two connections. */
Test(beat_connect, slow_node_gets_eight_times_as_many)
{
	struct httprig rig;

	init_minding_slowness(&rig, 1, 2);
	httprig_start(&rig, 0, slow);
	submit_many(&rig, 100);
	cr_assert(httprig_run(&rig, 100, LIMIT_MS));
	check_all(&rig, 100, 200);
	check_healthy(&rig);
	cr_assert_eq(byteserver_n_requests(rig.servers[0]), 100, "beats were sent twice");
	cr_assert_eq(byteserver_max_open(rig.servers[0]), 16);
	httprig_deinit(&rig);
}

/* Two connections that pause at the same time, for two replies each. */
Test(beat_connect, pause_is_not_slowness)
{
	static const struct byteserver_step paused[] = { OK_8, OK_8, SLOWLY, SLOWLY, AGAIN, END };
	struct httprig rig;

	init_minding_slowness(&rig, 1, 2);
	httprig_start(&rig, 0, paused);
	submit_many(&rig, 200);
	cr_assert(httprig_run(&rig, 200, LIMIT_MS));
	check_all(&rig, 200, 200);
	cr_assert_eq(byteserver_max_open(rig.servers[0]), 2);
	httprig_deinit(&rig);
}

Test(beat_connect, spare_ones_are_closed_when_it_is_swift_again)
{
	static const struct byteserver_step slow_first[] = {
		SLOWLY_8, OK_8, OK_8, OK_8, OK_8, OK_8, OK_8, OK_8, OK_8, OK_8, OK_8, END
	};
	struct httprig rig;

	init_minding_slowness(&rig, 1, 2);
	httprig_start(&rig, 0, slow_first);
	submit_many(&rig, 100);
	cr_assert(httprig_run(&rig, 100, LIMIT_MS));
	cr_assert_gt(byteserver_max_open(rig.servers[0]), 2);
	for (uint32_t i = 0; i < 50 && !spares_closed(&rig); i++)
		beat_in_turn(&rig, 1);
	cr_assert(spares_closed(&rig));
	check_healthy(&rig);
	httprig_deinit(&rig);
}

Test(beat_connect, swift_node_beside_a_slow_one_keeps_to_two)
{
	struct httprig rig;

	init_minding_slowness(&rig, 2, 2);
	httprig_start(&rig, 0, slow);
	httprig_start(&rig, 1, httprig_ok);
	for (uint32_t i = 0; i < 100; i++) {
		char *request;
		int n = asprintf(&request, "PUT /beat?n=%u HTTP/1.1\r\n", i);
		struct http_way way = { .home = (uint8_t)(i % 2), .group = (uint8_t)(i % 2) };

		cr_assert_gt(n, 0);
		cr_assert_eq(beat_lane_submit_to(rig.beats, request, (uint32_t)n, request, i, way),
			     0);
	}
	flush(&rig);
	cr_assert(httprig_run(&rig, 100, LIMIT_MS));
	check_all(&rig, 100, 200);
	cr_assert_gt(byteserver_max_open(rig.servers[0]), 2);
	cr_assert_eq(byteserver_max_open(rig.servers[1]), 2);
	httprig_deinit(&rig);
}
