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
#include <sys/mman.h>
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

Test(beat_lane_nodes, gives_the_5xx_when_the_other_node_says_nothing)
{
	static const struct byteserver_step *const others[] = { NULL, resetting, silent };
	static const struct byteserver_step first[] = {
		EXPECT, SEND("HTTP/1.1 503 \r\nContent-Length: 5\r\n\r\nstart"), AGAIN, END
	};

	for (size_t i = 0; i < 3; i++) {
		struct httprig rig;

		init(&rig, 2, 1);
		scale(&rig, 200, 400, 0, 0);
		httprig_start(&rig, 0, first);
		if (others[i])
			httprig_start(&rig, 1, others[i]);
		beat_in_turn(&rig, 1);
		cr_assert_eq(rig.results[0].end, HTTP_ANSWERED, "%zu: %s", i, rig.results[0].why);
		cr_assert_eq(rig.results[0].status, 503);
		cr_assert_str_eq(rig.results[0].body, "start");
		cr_assert_str_eq(rig.results[0].node, byteserver_url(rig.servers[0]));
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

static bool probe_is_due(struct httprig *rig)
{
	return http_nodes_usable(&rig->nodes, 0, clock_now_ms()) ||
	       http_nodes_usable(&rig->nodes, 1, clock_now_ms());
}

/* Nobody can be asked: the sender is told at once, and no connection is tried before the back-off is over. */
Test(beat_lane_nodes, fails_fast_while_all_nodes_back_off_and_recovers)
{
	struct httprig rig;
	uint64_t start_ms;

	init(&rig, 2, 2);
	submit_many(&rig, 10);
	cr_assert(httprig_run(&rig, 10, LIMIT_MS));
	for (uint32_t i = 0; i < 10; i++)
		check_unanswered(&rig.results[i], HTTP_UNSENT);
	httprig_start(&rig, 0, httprig_ok);
	cr_assert_not(probe_is_due(&rig));
	start_ms = clock_now_ms();
	submit_many(&rig, 10);
	cr_assert_eq(rig.n_results, 20, "beats wait for nodes that back off");
	for (uint32_t i = 10; i < 20; i++)
		check_unanswered(&rig.results[i], HTTP_UNSENT);
	cr_assert_eq(beat_lane_due_ms(rig.beats), CLOCK_NEVER, "wakes for nothing");
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 0);
	while (rig.nodes.nodes[0].retry_ms != 0) {
		uint32_t n_results = rig.n_results;

		cr_assert(httprig_run_until(&rig, probe_is_due, LIMIT_MS));
		submit(&rig, 1);
		flush(&rig);
		cr_assert(httprig_run(&rig, n_results + 1, LIMIT_MS));
		cr_assert_lt(clock_now_ms() - start_ms, LIMIT_MS);
	}
	cr_assert_eq(rig.results[rig.n_results - 1].status, 200);
	httprig_deinit(&rig);
}

static bool second_probe_is_due(struct httprig *rig)
{
	return http_nodes_usable(&rig->nodes, 1, clock_now_ms());
}

static bool second_is_healthy(struct httprig *rig)
{
	return rig->nodes.nodes[1].retry_ms == 0;
}

/* One beat is risked on a suspect; its work comes back when that one was answered. */
Test(beat_lane_nodes, probes_a_suspect_node_with_one_beat_while_another_works)
{
	struct httprig rig;
	uint32_t n_before;
	uint32_t n_failures;

	init(&rig, 2, 2);
	scale(&rig, 300, 3000, 0, 0);
	httprig_start(&rig, 0, httprig_ok);
	httprig_start(&rig, 1, silent);
	submit_many(&rig, 20);
	cr_assert(httprig_run(&rig, 20, LIMIT_MS));
	cr_assert_not(second_is_healthy(&rig));
	cr_assert(httprig_run_until(&rig, second_probe_is_due, LIMIT_MS));
	n_before = byteserver_n_requests(rig.servers[1]);
	n_failures = rig.nodes.nodes[1].n_failures;
	for (uint32_t i = 0; i < 10; i++) {
		submit_many(&rig, 20);
		cr_assert(httprig_run(&rig, 20 * (i + 2), LIMIT_MS));
	}
	/* Every probe but one under way has failed. */
	cr_assert_leq(byteserver_n_requests(rig.servers[1]) - n_before,
		      rig.nodes.nodes[1].n_failures - n_failures + 1);
	for (uint32_t i = 0; i < rig.n_results; i++)
		cr_assert_eq(rig.results[i].status, 200, "%s", rig.results[i].why);
	cr_assert(byteserver_stop(rig.servers[1]));
	httprig_start(&rig, 1, httprig_ok);
	while (!second_is_healthy(&rig)) {
		uint32_t n_results = rig.n_results;

		cr_assert(httprig_run_until(&rig, second_probe_is_due, LIMIT_MS));
		submit_many(&rig, 20);
		cr_assert(httprig_run(&rig, n_results + 20, LIMIT_MS));
	}
	n_before = byteserver_n_requests(rig.servers[1]);
	submit_many(&rig, 200);
	cr_assert(httprig_run(&rig, rig.n_results + 200, LIMIT_MS));
	cr_assert_gt(byteserver_n_requests(rig.servers[1]), n_before + 20);
	httprig_deinit(&rig);
}

/* A server that is killed and started again, with connections of ours open: the next beats find the new one. */
Test(beat_lane_nodes, survives_a_restart_of_the_server)
{
	struct httprig rig;

	init(&rig, 1, 2);
	httprig_start(&rig, 0, httprig_ok);
	for (uint32_t i = 0; i < 5; i++) {
		uint32_t n_results = rig.n_results;

		submit_many(&rig, 10);
		cr_assert(httprig_run(&rig, n_results + 10, LIMIT_MS));
		cr_assert(byteserver_stop(rig.servers[0]));
		httprig_start(&rig, 0, httprig_ok);
	}
	for (uint32_t i = 0; i < rig.n_results; i++)
		cr_assert_eq(rig.results[i].status, 200, "%s", rig.results[i].why);
	check_healthy(&rig);
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

static unsigned int count_lines(const char *text, const char *what)
{
	unsigned int n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* An outage is one line, and its end another, however many beats and connections it hits. */
Test(beat_lane_nodes, logs_an_outage_once)
{
	struct httprig rig;
	int log = memfd_create("log", 0);
	int saved = dup(STDERR_FILENO);
	char text[8192] = "";

	init(&rig, 1, 2);
	log_set_level(LOG_LEVEL_INFO);
	cr_assert_geq(dup2(log, STDERR_FILENO), 0);
	for (uint32_t i = 0; i < 3; i++)
		beat_in_turn(&rig, 5);
	httprig_start(&rig, 0, httprig_ok);
	while (rig.nodes.nodes[0].retry_ms != 0)
		beat_in_turn(&rig, 1);
	beat_in_turn(&rig, 5);
	dup2(saved, STDERR_FILENO);
	cr_assert_gt(pread(log, text, sizeof(text) - 1, 0), 0);
	cr_assert_eq(count_lines(text, "warning onebeatd"), 1, "%s", text);
	cr_assert_eq(count_lines(text, "event=registry.node_down node=\"http://127.0.0.1:"), 1,
		     "%s", text);
	cr_assert_eq(count_lines(text, "event=registry.node_up node=\"http://127.0.0.1:"), 1, "%s",
		     text);
	cr_assert_eq(count_lines(text, "\n"), 2, "%s", text);
	close(log);
	httprig_deinit(&rig);
}
