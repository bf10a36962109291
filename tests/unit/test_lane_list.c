/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * Both lanes while the list of servers changes
 */
#include <criterion/criterion.h>

#include "lib/beat_steps.h"

static const struct byteserver_step silent_once[] = {
	{ .act = BYTESERVER_EXPECT },
	{ .act = BYTESERVER_END },
};

static void init_both(struct httprig *rig, uint32_t n_servers)
{
	init(rig, n_servers, 1);
	httprig_add_requests(rig, 1);
	request_lane_set_timeouts(rig->requests, 2000, 10000);
	for (uint32_t i = 0; i < n_servers; i++)
		httprig_start(rig, i, httprig_ok);
}

static void change(struct httprig *rig, uint32_t node, bool in)
{
	http_nodes_put(&rig->nodes, node, in);
	beat_lane_list_changed(rig->beats);
	request_lane_list_changed(rig->requests);
}

static void ask(struct httprig *rig, uint32_t serial)
{
	cr_assert_eq(request_lane_submit(rig->requests, HTTP_POST, "/register", 0, NULL, serial),
		     0);
}

/* Beats and requests one after the other, each answered. */
static void talk(struct httprig *rig, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t n_results = rig->n_results;

		submit(rig, i);
		flush(rig);
		ask(rig, i);
		cr_assert(httprig_run(rig, n_results + 2, LIMIT_MS));
		cr_assert_eq(rig->results[n_results].status, 200);
		cr_assert_eq(rig->results[n_results + 1].status, 200);
	}
}

static bool unused(struct httprig *rig)
{
	return !beat_lane_uses(rig->beats, 0) && !request_lane_uses(rig->requests, 0);
}

Test(lane_list, who_has_left_is_asked_nothing_until_it_is_back)
{
	struct httprig rig;
	uint32_t n_asked;

	init_both(&rig, 2);
	talk(&rig, 20);
	n_asked = byteserver_n_requests(rig.servers[0]);
	cr_assert_gt(n_asked, 0);
	change(&rig, 0, false);
	cr_assert(httprig_run_until(&rig, unused, LIMIT_MS), "its idle connection is kept");
	talk(&rig, 20);
	cr_assert_eq(byteserver_n_requests(rig.servers[0]), n_asked);
	change(&rig, 0, true);
	talk(&rig, 20);
	cr_assert_gt(byteserver_n_requests(rig.servers[0]), n_asked);
	httprig_deinit(&rig);
}

static bool both_asked(struct httprig *rig)
{
	return byteserver_n_requests(rig->servers[0]) == 2;
}

/* What is under way comes to its end, though the server has left. */
Test(lane_list, who_has_left_may_still_answer)
{
	static const struct byteserver_step slow[] = {
		{ .act = BYTESERVER_EXPECT },
		{ .act = BYTESERVER_WAIT, .ms = 200 },
		{ .act = BYTESERVER_SEND, .text = HTTPRIG_OK_TEXT },
		{ .act = BYTESERVER_END },
	};
	struct httprig rig;

	init(&rig, 1, 1);
	httprig_add_requests(&rig, 1);
	httprig_start(&rig, 0, slow);
	submit(&rig, 1);
	flush(&rig);
	ask(&rig, 1);
	cr_assert(httprig_run_until(&rig, both_asked, LIMIT_MS));
	change(&rig, 0, false);
	cr_assert(httprig_run(&rig, 2, LIMIT_MS));
	cr_assert_eq(rig.results[0].status, 200);
	cr_assert_eq(rig.results[1].status, 200);
	cr_assert(httprig_run_until(&rig, unused, LIMIT_MS));
	httprig_deinit(&rig);
}

/* Nobody waits for a list: the end is told at once, with the reason. */
Test(lane_list, an_empty_list_ends_everything_at_once)
{
	struct httprig rig;

	init_both(&rig, 1);
	talk(&rig, 1);
	change(&rig, 0, false);
	submit(&rig, 7);
	flush(&rig);
	ask(&rig, 7);
	cr_assert(httprig_run(&rig, 4, 1000));
	for (uint32_t i = 2; i < 4; i++) {
		cr_expect_eq(rig.results[i].end, HTTP_UNSENT);
		cr_expect_str_eq(rig.results[i].why, "no server of it is known");
	}
	change(&rig, 0, true);
	talk(&rig, 1);
	httprig_deinit(&rig);
}

Test(lane_list, an_index_gets_another_address)
{
	struct httprig rig;
	struct byteserver *other = byteserver_new();
	const struct byteserver_step *scripts[] = { httprig_ok };
	uint32_t node;

	init_both(&rig, 1);
	talk(&rig, 3);
	cr_assert_not_null(other);
	cr_assert(byteserver_start(other, scripts, 1));
	change(&rig, 0, false);
	cr_assert(httprig_run_until(&rig, unused, LIMIT_MS));
	cr_assert_eq(http_nodes_add(&rig.nodes, byteserver_url(other), 1, &node), 0);
	cr_assert_eq(node, 0);
	cr_assert_eq(beat_lane_add_node(rig.beats, 0), 0);
	cr_assert_eq(request_lane_add_node(rig.requests, 0), 0);
	talk(&rig, 3);
	cr_assert_eq(byteserver_n_requests(rig.servers[0]), 6);
	cr_assert_eq(byteserver_n_requests(other), 6);
	httprig_deinit(&rig);
	byteserver_free(other);
}

/* A beat that is bound to a server which leaves goes to another. */
Test(lane_list, what_waits_for_who_has_left_goes_elsewhere)
{
	struct httprig rig;

	init(&rig, 2, 1);
	scale(&rig, 300, 15000, 15000, 0);
	httprig_start(&rig, 0, silent_once);
	httprig_start(&rig, 1, httprig_ok);
	submit_many(&rig, 20);
	cr_assert(httprig_run(&rig, 10, LIMIT_MS));
	http_nodes_put(&rig.nodes, 0, false);
	beat_lane_list_changed(rig.beats);
	cr_assert(httprig_run(&rig, 20, LIMIT_MS));
	check_all(&rig, 20, 200);
	httprig_deinit(&rig);
}
