/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The beat lane: beats that have a node of their own, and what waits for whom
 */
#include <criterion/criterion.h>

#include "lib/beat_steps.h"

static void submit_to(struct httprig *rig, uint32_t serial, uint8_t home, uint8_t group)
{
	struct http_way way = { .home = home, .group = group };
	char *request;
	int n = asprintf(&request, "PUT /beat?n=%u HTTP/1.1\r\n", serial);

	cr_assert_gt(n, 0);
	cr_assert_eq(beat_lane_submit_to(rig->beats, request, (uint32_t)n, request, serial, way),
		     0);
}

static void submit_homed(struct httprig *rig, uint32_t n, uint8_t home)
{
	for (uint32_t i = 0; i < n; i++)
		submit_to(rig, i, home, home);
	flush(rig);
}

Test(beat_place, what_has_a_home_goes_there)
{
	struct httprig rig;

	init(&rig, 2, 2);
	for (uint32_t i = 0; i < 2; i++)
		httprig_start(&rig, i, httprig_ok);
	submit_homed(&rig, 30, 1);
	cr_assert(httprig_run(&rig, 30, LIMIT_MS));
	check_all(&rig, 30, 200);
	cr_assert_eq(byteserver_n_requests(rig.servers[0]), 0);
	cr_assert_eq(byteserver_n_requests(rig.servers[1]), 30);
	httprig_deinit(&rig);
}

Test(beat_place, others_do_when_the_home_is_gone)
{
	struct httprig rig;

	init(&rig, 3, 1);
	httprig_start(&rig, 0, httprig_ok);
	httprig_start(&rig, 2, httprig_ok);
	submit_homed(&rig, 40, 1);
	cr_assert(httprig_run(&rig, 40, LIMIT_MS));
	check_all(&rig, 40, 200);
	cr_assert_gt(byteserver_n_requests(rig.servers[0]), 5, "all went to one node");
	cr_assert_gt(byteserver_n_requests(rig.servers[2]), 5, "all went to one node");
	httprig_deinit(&rig);
}

static bool asked(struct httprig *rig)
{
	return byteserver_n_requests(rig->servers[0]) == 1;
}

/* Beats of a node that is gone wait at another for a reply that does not come: that one's own beats do not. */
Test(beat_place, what_is_away_from_home_delays_nobody)
{
	static const struct byteserver_step silent_steps[] = {
		{ .act = BYTESERVER_EXPECT },
		{ .act = BYTESERVER_END },
	};
	static const struct byteserver_step *const scripts[] = { silent_steps, httprig_ok };
	struct httprig rig;

	init(&rig, 2, 1);
	scale(&rig, 300, 2000, 2000, 0);
	cr_assert(byteserver_start(rig.servers[0], scripts, 2));
	http_nodes_failed(&rig.nodes, 1, clock_now_ms() + 60000, "gone");
	submit_to(&rig, 100, 1, 1);
	submit_to(&rig, 101, 1, 1);
	flush(&rig);
	cr_assert(httprig_run_until(&rig, asked, LIMIT_MS));
	submit_homed(&rig, 20, 0);
	cr_assert(httprig_run(&rig, 20, LIMIT_MS));
	for (uint32_t i = 0; i < 20; i++) {
		cr_assert_lt(rig.results[i].serial, 100, "one that is away was first");
		cr_assert_eq(rig.results[i].status, 200);
	}
	cr_assert(httprig_run(&rig, 22, LIMIT_MS));
	cr_assert_eq(rig.nodes.nodes[0].n_failures, 0, "blamed for another's silence");
	httprig_deinit(&rig);
}

/* Every node's beats may fail for reasons of the instance: then nobody waits aside. */
Test(beat_place, errors_of_all_groups_are_nobodys_fault)
{
	static const struct byteserver_step failing[] = {
		{ .act = BYTESERVER_EXPECT },
		{ .act = BYTESERVER_SEND,
		  .text = "HTTP/1.1 500 \r\nContent-Length: 4\r\n\r\nfail" },
		{ .act = BYTESERVER_AGAIN },
		{ .act = BYTESERVER_END },
	};
	struct httprig rig;

	init(&rig, 2, 2);
	for (uint32_t i = 0; i < 2; i++)
		httprig_start(&rig, i, failing);
	for (uint32_t i = 0; i < 60; i++)
		submit_to(&rig, i, HTTP_NOWHERE, (uint8_t)(i % 3));
	flush(&rig);
	cr_assert(httprig_run(&rig, 60, LIMIT_MS));
	check_all(&rig, 60, 500);
	httprig_deinit(&rig);
}
