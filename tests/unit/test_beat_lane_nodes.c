/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The beat lane: nodes that fail, and where their beats go
 *
 * Time-outs are scaled down where a deadline is what is tested.
 */
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "lib/beat_steps.h"
#include "lib/http_steps.h"
#include "lib/httprig.h"

/* With a full attempt's silence a node is suspect, and the rest of its queue is not kept waiting for it. */
Test(beat_lane_nodes, ends_silence_in_time_and_what_waits_behind_it_at_once)
{
	struct httprig rig;
	uint64_t start_ms;

	init(&rig, 1, 1);
	scale(&rig, 0, 300, 0, 0);
	httprig_start(&rig, 0, silent);
	start_ms = clock_now_ms();
	submit_many(&rig, 3);
	cr_assert(httprig_run(&rig, 3, LIMIT_MS));
	cr_assert_geq(clock_now_ms() - start_ms, 300);
	cr_assert_lt(clock_now_ms() - start_ms, HTTP_TOTAL_MS);
	check_unanswered(&rig.results[0], HTTP_LOST);
	for (uint32_t i = 1; i < 3; i++) {
		check_unanswered(&rig.results[i], HTTP_UNSENT);
		cr_assert_str_eq(rig.results[i].why, rig.results[0].why);
	}
	httprig_deinit(&rig);
}

/* Waiting has an end of its own, or a slow node would make every beat late. */
Test(beat_lane_nodes, bounds_the_wait_for_a_connection)
{
	struct httprig rig;
	uint64_t start_ms;

	init(&rig, 1, 1);
	scale(&rig, 0, 600, 150, 0);
	httprig_start(&rig, 0, silent);
	start_ms = clock_now_ms();
	submit_many(&rig, 2);
	cr_assert(httprig_run(&rig, 1, LIMIT_MS));
	cr_assert_geq(clock_now_ms() - start_ms, 150);
	cr_assert_eq(rig.results[0].serial, 1);
	check_unanswered(&rig.results[0], HTTP_UNSENT);
	check_healthy(&rig);
	cr_assert(httprig_run(&rig, 2, LIMIT_MS));
	check_unanswered(&rig.results[1], HTTP_LOST);
	httprig_deinit(&rig);
}

/* A host that drops packets: the kernel's queue of the listener is full. */
Test(beat_lane_nodes, gives_up_connecting_in_time)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	struct httprig rig = { .loop = LOOP_NULL, .then = free_request };
	struct beat_timeouts timeouts = BEAT_TIMEOUTS_DEFAULT;
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
	httprig_add_beats(&rig, 2);
	timeouts.connect_ms = 150;
	beat_lane_set_timeouts(rig.beats, &timeouts);
	log_set_level(LOG_LEVEL_ERROR);
	start_ms = clock_now_ms();
	submit_many(&rig, 5);
	cr_assert(httprig_run(&rig, 5, LIMIT_MS));
	for (uint32_t i = 0; i < 5; i++) {
		check_unanswered(&rig.results[i], HTTP_UNSENT);
		cr_assert_not_null(strstr(rig.results[i].why, "cannot connect"), "%s",
				   rig.results[i].why);
	}
	cr_assert_geq(clock_now_ms() - start_ms, 150);
	httprig_deinit(&rig);
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	close(listener);
}

/* Whatever two nodes do, the third one answers every beat. */
Test(beat_lane_nodes, fails_over_among_three_nodes)
{
	static const struct byteserver_step *const bad[] = { NULL, resetting, half_body, garbage,
							     closing };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (uint32_t good = 0; good < 3; good++) {
			struct httprig rig;

			init(&rig, 3, 2);
			for (uint32_t k = 0; k < 3; k++) {
				if (k == good || bad[i])
					httprig_start(&rig, k, k == good ? httprig_ok : bad[i]);
			}
			submit_many(&rig, 50);
			cr_assert(httprig_run(&rig, 50, LIMIT_MS));
			check_all(&rig, 50, 200);
			for (uint32_t k = 0; k < 50; k++)
				cr_assert_str_eq(rig.results[k].node,
						 byteserver_url(rig.servers[good]));
			cr_assert_leq(byteserver_max_open(rig.servers[good]), 2);
			httprig_deinit(&rig);
		}
	}
}

/* A frozen server takes connections and requests and says nothing. */
Test(beat_lane_nodes, goes_to_another_node_after_one_attempt_of_silence)
{
	struct httprig rig;
	uint32_t n_lost = 0;

	init(&rig, 2, 2);
	scale(&rig, 200, 3000, 0, 0);
	httprig_start(&rig, 0, silent);
	httprig_start(&rig, 1, httprig_ok);
	submit_many(&rig, 100);
	cr_assert(httprig_run(&rig, 100, LIMIT_MS));
	check_all(&rig, 100, 200);
	for (uint32_t i = 0; i < 100; i++) {
		cr_assert_str_eq(rig.results[i].node, byteserver_url(rig.servers[1]));
		n_lost += rig.results[i].lost;
		cr_assert_eq(rig.results[i].n_tried, rig.results[i].lost ? 2 : 1);
	}
	cr_assert_geq(n_lost, 1);
	cr_assert_leq(n_lost, 2, "%u beats went to a node that was silent", n_lost);
	cr_assert_neq(rig.nodes.nodes[0].retry_ms, 0);
	httprig_deinit(&rig);
}

/* A 5xx may be the server's trouble, so one other node is asked; the same answer twice is the answer. */
Test(beat_lane_nodes, asks_one_other_node_after_a_5xx)
{
	struct httprig rig;
	uint32_t n_requests = 0;

	init(&rig, 3, 1);
	for (uint32_t i = 0; i < 3; i++)
		httprig_start(&rig, i, refusing);
	beat_in_turn(&rig, 1);
	check_all(&rig, 1, 500);
	cr_assert_str_eq(rig.results[0].body, "caused");
	cr_assert_eq(rig.results[0].n_tried, 2);
	for (uint32_t i = 0; i < 3; i++)
		n_requests += byteserver_n_requests(rig.servers[i]);
	cr_assert_eq(n_requests, 2);
	check_healthy(&rig);
	httprig_deinit(&rig);
}

/* Whichever is asked first. */
Test(beat_lane_nodes, gives_the_5xx_when_the_other_node_says_nothing)
{
	static const struct byteserver_step *const others[] = { NULL, resetting, silent };
	static const struct byteserver_step starting[] = {
		EXPECT, SEND("HTTP/1.1 503 \r\nContent-Length: 5\r\n\r\nstart"), AGAIN, END
	};

	for (uint32_t i = 0; i < 6; i++) {
		const struct byteserver_step *other = others[i / 2];
		uint32_t node = i % 2;
		struct httprig rig;

		init(&rig, 2, 1);
		scale(&rig, 200, 400, 0, 0);
		httprig_start(&rig, node, starting);
		if (other)
			httprig_start(&rig, 1 - node, other);
		beat_in_turn(&rig, 1);
		cr_assert_eq(rig.results[0].end, HTTP_ANSWERED, "%u: %s", i, rig.results[0].why);
		cr_assert_eq(rig.results[0].status, 503);
		cr_assert_str_eq(rig.results[0].body, "start");
		cr_assert_str_eq(rig.results[0].node, byteserver_url(rig.servers[node]));
		httprig_deinit(&rig);
	}
}

/* Below 500 the first word is the last: 404 or 400 elsewhere would be the same. */
Test(beat_lane_nodes, takes_other_statuses_as_they_come)
{
	static const struct byteserver_step steps[] = {
		EXPECT, SEND("HTTP/1.1 404 \r\nContent-Length: 3\r\n\r\nabc"),
		EXPECT, SEND("HTTP/1.1 400 \r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"),
		CLOSE,  END,
	};
	struct httprig rig;

	init(&rig, 2, 1);
	httprig_start(&rig, 0, steps);
	httprig_start(&rig, 1, steps);
	submit_many(&rig, 20);
	cr_assert(httprig_run(&rig, 20, LIMIT_MS));
	for (uint32_t i = 0; i < 20; i++) {
		cr_assert_eq(rig.results[i].end, HTTP_ANSWERED);
		cr_assert(rig.results[i].status == 404 || rig.results[i].status == 400);
		cr_assert_eq(rig.results[i].n_tried, 1);
	}
	check_healthy(&rig);
	httprig_deinit(&rig);
}

static bool all_connected(struct httprig *rig)
{
	return beat_lane_connections(rig->beats, 0) == 2 &&
	       beat_lane_connections(rig->beats, 1) == 2 &&
	       beat_lane_connections(rig->beats, 2) == 2;
}

/* What one flush finds idle it uses evenly; under load, whoever answers faster gets more. */
Test(beat_lane_nodes, spreads_beats_over_the_nodes)
{
	struct httprig rig;
	uint32_t n_before[3];

	init(&rig, 3, 2);
	for (uint32_t i = 0; i < 3; i++)
		httprig_start(&rig, i, httprig_ok);
	submit_many(&rig, 200);
	cr_assert(httprig_run(&rig, 200, LIMIT_MS));
	cr_assert(httprig_run_until(&rig, all_connected, LIMIT_MS));
	for (uint32_t i = 0; i < 3; i++)
		n_before[i] = byteserver_n_requests(rig.servers[i]);
	beat_in_turn(&rig, 6);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(byteserver_n_requests(rig.servers[i]) - n_before[i], 2,
			     "lone beats go to the same node");
	for (uint32_t n_each = 1; n_each <= 2; n_each++) {
		uint32_t n_results = rig.n_results;

		for (uint32_t i = 0; i < 3; i++)
			n_before[i] = byteserver_n_requests(rig.servers[i]);
		submit_many(&rig, 3 * n_each);
		cr_assert(httprig_run(&rig, n_results + 3 * n_each, LIMIT_MS));
		for (uint32_t i = 0; i < 3; i++)
			cr_assert_eq(byteserver_n_requests(rig.servers[i]) - n_before[i], n_each);
	}
	for (uint32_t i = 0; i < rig.n_results; i++)
		cr_assert_eq(rig.results[i].status, 200);
	httprig_deinit(&rig);
}

/* All nodes together get the total; one that had only the rest of it is not blamed. */
Test(beat_lane_nodes, ends_a_beat_in_time_however_many_nodes_are_silent)
{
	struct httprig rig;
	uint32_t n_suspect = 0;

	init(&rig, 3, 1);
	scale(&rig, 1000, 1900, 0, 0);
	for (uint32_t i = 0; i < 3; i++)
		httprig_start(&rig, i, silent);
	beat_in_turn(&rig, 1);
	check_unanswered(&rig.results[0], HTTP_LOST);
	cr_assert_eq(rig.results[0].n_tried, 2);
	for (uint32_t i = 0; i < 3; i++)
		n_suspect += rig.nodes.nodes[i].retry_ms != 0;
	cr_assert_eq(n_suspect, 1);
	httprig_deinit(&rig);
}

static void submit_next(struct httprig *rig, const struct httprig_result *result)
{
	uint32_t serial = result->serial;

	free(result->tag);
	if (serial >= 50)
		return;
	submit(rig, serial + 1);
	flush(rig);
}

/* A sender that tries again at once is its own fault; the lane must still return from its calls. */
Test(beat_lane_nodes, returns_from_flush_though_done_submits_what_fails_at_once)
{
	struct httprig rig;

	init(&rig, 1, 1);
	beat_in_turn(&rig, 1);
	rig.then = submit_next;
	rig.n_results = 0;
	submit(&rig, 1);
	flush(&rig);
	cr_assert_eq(rig.n_results, 1);
	cr_assert(httprig_run(&rig, 50, LIMIT_MS));
	check_unanswered(&rig.results[49], HTTP_UNSENT);
	httprig_deinit(&rig);
}
