/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The request lane: nodes that fail, and where their requests go
 *
 * Time-outs are scaled down where a deadline is what is tested.
 */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "lib/http_steps.h"
#include "lib/httprig.h"

#define TARGET "/nacos/v1/ns/instance?a=b"

static void submit(struct httprig *rig, enum http_method method, const char *target,
		   uint32_t serial)
{
	cr_assert_eq(request_lane_submit(rig->requests, method, target, 0, rig, serial), 0);
}

static void check_unanswered(const struct httprig_result *result, enum http_end end)
{
	cr_assert_eq(result->end, end, "ended as %d: %s", (int)result->end, result->why);
	cr_assert_eq(result->status, 0);
	cr_assert_str_empty(result->body);
	cr_assert_str_not_empty(result->why);
}

/* A host that drops packets, as after a power cut: the kernel's queue is full and takes no more. */
Test(request_lane_nodes, gives_up_connecting_in_time)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	struct httprig rig = { .loop = LOOP_NULL };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fillers[4];
	char url[64];
	const char *urls = url;
	uint64_t start_ms;

	cr_assert_eq(bind(listener, (struct sockaddr *)&address, size), 0);
	cr_assert_eq(listen(listener, 0), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	for (int i = 0; i < 4; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fillers[i], (struct sockaddr *)&address, size);
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(address.sin_port));
	cr_assert_eq(http_nodes_init(&rig.nodes, &urls, 1, 1), 0);
	cr_assert_eq(loop_init(&rig.loop), 0);
	httprig_add_requests(&rig, 1);
	request_lane_set_timeouts(rig.requests, 150, 10000);
	log_set_level(LOG_LEVEL_ERROR);
	start_ms = clock_now_ms();
	submit(&rig, HTTP_POST, TARGET, 1);
	cr_assert(httprig_run(&rig, 1, LIMIT_MS));
	check_unanswered(&rig.results[0], HTTP_UNSENT);
	cr_assert_geq(clock_now_ms() - start_ms, 150);
	cr_assert_lt(clock_now_ms() - start_ms, 5000);
	httprig_deinit(&rig);
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	close(listener);
}

/* Whatever the first nodes do, the third one answers. */
Test(request_lane_nodes, fails_over_among_three_nodes)
{
	static const struct byteserver_step *const bad[] = { NULL, refusing, resetting, half_body };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (uint32_t good = 0; good < 3; good++) {
			struct httprig rig;

			httprig_init(&rig, 3);
			httprig_add_requests(&rig, 1);
			for (uint32_t k = 0; k < 3; k++) {
				if (k == good || bad[i])
					httprig_start(&rig, k, k == good ? httprig_ok : bad[i]);
			}
			for (uint32_t k = 0; k < 4; k++)
				submit(&rig, HTTP_POST, TARGET, k);
			cr_assert(httprig_run(&rig, 4, LIMIT_MS));
			for (uint32_t k = 0; k < 4; k++) {
				cr_assert_eq(rig.results[k].status, 200, "%s", rig.results[k].why);
				cr_assert_str_eq(rig.results[k].node,
						 byteserver_url(rig.servers[good]));
			}
			httprig_deinit(&rig);
		}
	}
}

Test(request_lane_nodes, asks_each_node_once)
{
	struct httprig rig;

	httprig_init(&rig, 3);
	httprig_add_requests(&rig, 1);
	for (uint32_t i = 0; i < 3; i++)
		httprig_start(&rig, i, refusing);
	submit(&rig, HTTP_POST, TARGET, 1);
	cr_assert(httprig_run(&rig, 1, LIMIT_MS));
	cr_assert_eq(rig.results[0].end, HTTP_ANSWERED);
	cr_assert_eq(rig.results[0].status, 500);
	cr_assert_str_eq(rig.results[0].body, "caused");
	cr_assert_eq(rig.results[0].n_tried, 3);
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(byteserver_n_requests(rig.servers[i]), 1);
		cr_assert_eq(rig.nodes.nodes[i].retry_ms, 0, "a 500 was charged to the node");
	}
	httprig_deinit(&rig);
}

/* How two nodes' ends make one; the other order is the other row. */
Test(request_lane_nodes, ends_with_what_both_nodes_said)
{
	static const struct {
		const char *name;
		const struct byteserver_step *first;
		const struct byteserver_step *second;
		enum http_end end;
		int status;
		bool lost;
	} rows[] = {
		{ "refused, refused", NULL, NULL, HTTP_UNSENT, 0, false },
		{ "refused, lost", NULL, resetting, HTTP_LOST, 0, true },
		{ "lost, refused", resetting, NULL, HTTP_LOST, 0, true },
		{ "500, refused", refusing, NULL, HTTP_ANSWERED, 500, false },
		{ "refused, 500", NULL, refusing, HTTP_ANSWERED, 500, false },
		{ "500, lost", refusing, half_body, HTTP_LOST, 0, true },
		{ "lost, 500", half_body, refusing, HTTP_ANSWERED, 500, true },
		{ "lost, 200", half_body, httprig_ok, HTTP_ANSWERED, 200, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_nodes copy;
		struct httprig rig;
		uint32_t first;

		httprig_init(&rig, 2);
		httprig_add_requests(&rig, 1);
		/* A copy of the set draws what the lane will draw. */
		copy = rig.nodes;
		first = http_nodes_start(&copy);
		if (rows[i].first)
			httprig_start(&rig, first, rows[i].first);
		if (rows[i].second)
			httprig_start(&rig, 1 - first, rows[i].second);
		submit(&rig, HTTP_POST, TARGET, 1);
		cr_assert(httprig_run(&rig, 1, LIMIT_MS));
		cr_assert_eq(rig.results[0].end, rows[i].end, "%s: ended as %d", rows[i].name,
			     (int)rig.results[0].end);
		cr_assert_eq(rig.results[0].status, rows[i].status, "%s", rows[i].name);
		cr_assert_eq(rig.results[0].lost, rows[i].lost, "%s", rows[i].name);
		cr_assert_eq(rig.results[0].n_tried, 2, "%s", rows[i].name);
		httprig_deinit(&rig);
	}
}

/* A silent node costs its time-out once; then everybody goes elsewhere. */
Test(request_lane_nodes, moves_the_queue_away_from_a_silent_node)
{
	struct httprig rig;
	uint64_t start_ms = clock_now_ms();

	httprig_init(&rig, 2);
	httprig_add_requests(&rig, 1);
	request_lane_set_timeouts(rig.requests, 1000, 1000);
	httprig_start(&rig, 0, silent);
	httprig_start(&rig, 1, httprig_ok);
	for (uint32_t i = 0; i < 50; i++)
		submit(&rig, HTTP_POST, TARGET, i);
	cr_assert(httprig_run(&rig, 50, LIMIT_MS));
	for (uint32_t i = 0; i < 50; i++)
		cr_assert_eq(rig.results[i].status, 200, "%s", rig.results[i].why);
	cr_assert_leq(byteserver_n_requests(rig.servers[0]), 1);
	cr_assert_lt(clock_now_ms() - start_ms, 10000);
	httprig_deinit(&rig);
}

/* Those that another node's refusal had sent there are not left to wait for it either. */
Test(request_lane_nodes, moves_bound_requests_away_from_a_silent_node)
{
	struct httprig rig;

	httprig_init(&rig, 3);
	httprig_add_requests(&rig, 1);
	request_lane_set_timeouts(rig.requests, 1000, 1000);
	httprig_start(&rig, 0, refusing);
	httprig_start(&rig, 1, silent);
	httprig_start(&rig, 2, httprig_ok);
	for (uint32_t i = 0; i < 50; i++)
		submit(&rig, HTTP_POST, TARGET, i);
	cr_assert(httprig_run(&rig, 50, LIMIT_MS));
	for (uint32_t i = 0; i < 50; i++) {
		cr_assert_eq(rig.results[i].status, 200, "%s", rig.results[i].why);
		cr_assert_str_eq(rig.results[i].node, byteserver_url(rig.servers[2]));
	}
	cr_assert_eq(byteserver_n_requests(rig.servers[1]), 1);
	httprig_deinit(&rig);
}

/* Requests ask even nodes that back off: a deregistration is not for the sender to repeat. */
Test(request_lane_nodes, reaches_a_node_that_has_come_back)
{
	struct httprig rig;

	httprig_init(&rig, 2);
	httprig_add_requests(&rig, 1);
	submit(&rig, HTTP_DELETE, TARGET, 1);
	cr_assert(httprig_run(&rig, 1, LIMIT_MS));
	cr_assert_eq(rig.results[0].end, HTTP_UNSENT);
	cr_assert_eq(rig.results[0].n_tried, 2);
	cr_assert_neq(rig.nodes.nodes[0].retry_ms, 0);
	cr_assert_str_not_empty(rig.nodes.nodes[0].last_error);
	httprig_start(&rig, 0, httprig_ok);
	submit(&rig, HTTP_DELETE, TARGET, 2);
	cr_assert(httprig_run(&rig, 2, LIMIT_MS));
	cr_assert_eq(rig.results[1].status, 200);
	cr_assert_eq(rig.nodes.nodes[0].retry_ms, 0, "it answered, and is still suspect");
	httprig_deinit(&rig);
}
