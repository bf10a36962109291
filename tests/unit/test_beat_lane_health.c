/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The beat lane: suspect nodes, their probes, and their return
 *
 * Time-outs are scaled down where a deadline is what is tested.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "lib/beat_steps.h"
#include "lib/http_steps.h"
#include "lib/httprig.h"

static bool probe_is_due(struct httprig *rig)
{
	for (uint32_t i = 0; i < rig->n_servers; i++) {
		if (http_nodes_usable(&rig->nodes, i, clock_now_ms()))
			return true;
	}
	return false;
}

static void beat_when_probe_is_due(struct httprig *rig, uint32_t n)
{
	cr_assert(httprig_run_until(rig, probe_is_due, LIMIT_MS));
	beat_in_turn(rig, n);
}

/* Nobody can be asked: the sender is told at once, and no connection is tried before the back-off is over. */
Test(beat_lane_health, fails_fast_while_all_nodes_back_off_and_recovers)
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
		beat_when_probe_is_due(&rig, 1);
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
Test(beat_lane_health, probes_a_suspect_node_with_one_beat_while_another_works)
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

static bool three_connections(struct httprig *rig)
{
	return beat_lane_connections(rig->beats, 0) == 3;
}

/* However many connections to it are open and idle. */
Test(beat_lane_health, risks_one_beat_at_a_time_on_a_suspect_node)
{
	/* Slow at first, so that each of three beats finds a connection of its own. */
	static const struct byteserver_step steps[] = { EXPECT, WAIT(200), SEND(HTTPRIG_OK_TEXT),
							EXPECT, END };
	struct httprig rig;

	init(&rig, 1, 3);
	httprig_start(&rig, 0, steps);
	submit_many(&rig, 3);
	cr_assert(httprig_run(&rig, 3, LIMIT_MS));
	cr_assert(three_connections(&rig));
	scale(&rig, 0, 300, 0, 0);
	beat_in_turn(&rig, 1);
	check_unanswered(&rig.results[3], HTTP_LOST);
	cr_assert_eq(beat_lane_connections(rig.beats, 0), 2);
	cr_assert(httprig_run_until(&rig, probe_is_due, LIMIT_MS));
	submit_many(&rig, 2);
	cr_assert(httprig_run(&rig, 6, LIMIT_MS));
	check_unanswered(&rig.results[4], HTTP_LOST);
	check_unanswered(&rig.results[5], HTTP_UNSENT);
	cr_assert_eq(byteserver_n_requests(rig.servers[0]), 5);
	httprig_deinit(&rig);
}

/* A server that is killed and started again, with connections of ours open: the next beats find the new one. */
Test(beat_lane_health, survives_a_restart_of_the_server)
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

static unsigned int count_lines(const char *text, const char *what)
{
	unsigned int n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* An outage is one line, and its end another, however many beats and connections it hits. */
Test(beat_lane_health, logs_an_outage_once)
{
	struct httprig rig;
	int log = memfd_create("log", 0);
	int saved = dup(STDERR_FILENO);
	char text[8192] = "";

	init(&rig, 1, 2);
	log_set_level(LOG_LEVEL_INFO);
	cr_assert_geq(dup2(log, STDERR_FILENO), 0);
	while (rig.nodes.nodes[0].n_failures < 3)
		beat_when_probe_is_due(&rig, 5);
	httprig_start(&rig, 0, httprig_ok);
	while (rig.nodes.nodes[0].retry_ms != 0)
		beat_when_probe_is_due(&rig, 1);
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
