/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The beat lane: what goes over connections, and what happens to beats when those end
 *
 * One node, played by scripts. Time-outs are scaled down where a deadline is what is tested.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lib/beat_steps.h"
#include "lib/http_steps.h"
#include "lib/httprig.h"

Test(beat_lane, writes_nothing_before_flush_and_then_the_request_as_it_is)
{
	struct httprig rig;
	struct byteserver_request request;
	char wanted[512];

	init(&rig, 1, 2);
	httprig_start(&rig, 0, httprig_ok);
	submit(&rig, 0);
	loop_turn(&rig.loop, 50);
	beat_lane_tick(rig.beats, clock_now_ms());
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 0);
	cr_assert_eq(beat_lane_due_ms(rig.beats), CLOCK_NEVER);
	flush(&rig);
	cr_assert_eq(rig.n_results, 0);
	cr_assert(httprig_run(&rig, 1, LIMIT_MS));
	check_all(&rig, 1, 200);
	cr_assert_str_eq(rig.results[0].body, BEAT_BODY);
	cr_assert_eq(rig.results[0].n_body, strlen(BEAT_BODY));
	cr_assert_str_eq(rig.results[0].node, byteserver_url(rig.servers[0]));
	cr_assert_eq(rig.results[0].n_tried, 1);
	cr_assert(byteserver_request(rig.servers[0], 0, &request));
	snprintf(
		wanted, sizeof(wanted),
		"PUT /beat?n=0 HTTP/1.1\r\nHost: %s\r\nUser-Agent: onebeat/%s\r\nClient-Version: %s\r\n"
		"Accept: application/json, */*\r\nContent-Length: 0\r\n\r\n",
		byteserver_url(rig.servers[0]) + strlen("http://"), ONEBEAT_VERSION,
		ONEBEAT_VERSION);
	cr_assert_str_eq(request.head, wanted);
	cr_assert_eq(beat_lane_connections(rig.beats, 0), 1, "one beat needs one connection");
	httprig_deinit(&rig);
}

Test(beat_lane, a_body_has_head_lines_of_its_own)
{
	static const char full[] =
		"PUT /beat HTTP/1.1\r\nContent-Type: t\r\nContent-Length: 6\r\n\r\nbeat=x";
	const uint32_t n_body = sizeof("\r\nbeat=x") - 1;
	char *text = strdup(full);
	struct httprig rig;
	struct byteserver_request request;

	init(&rig, 1, 1);
	httprig_start(&rig, 0, httprig_ok);
	cr_assert_not_null(text); /* which the rig frees, with the tag */
	cr_assert_eq(beat_lane_submit_full(rig.beats, text, sizeof(full) - 1 - n_body, n_body, text,
					   0, HTTP_ANYWHERE),
		     0);
	flush(&rig);
	cr_assert(httprig_run(&rig, 1, LIMIT_MS));
	check_all(&rig, 1, 200);
	cr_assert(byteserver_request(rig.servers[0], 0, &request));
	cr_assert_eq(strstr(request.head,
			    "PUT /beat HTTP/1.1\r\nContent-Type: t\r\nContent-Length: 6\r\nHost: "),
		     request.head);
	cr_assert_null(strstr(request.head, "Content-Length: 0"));
	cr_assert_not_null(strstr(request.head, "\r\nAccept: application/json, */*\r\n\r\n"));
	httprig_deinit(&rig);
}

Test(beat_lane, understands_every_framing)
{
	static const struct byteserver_step steps[] = {
		EXPECT,
		SEND_SPLIT(
			"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
			5),
		EXPECT,
		SEND("HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc"),
		EXPECT,
		SEND_SPLIT(
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc",
			20),
		EXPECT,
		SEND("HTTP/1.1 200 \r\n\r\nabc"),
		CLOSE,
		END,
	};
	struct httprig rig;

	init(&rig, 1, 1);
	httprig_start(&rig, 0, steps);
	submit_many(&rig, 8);
	cr_assert(httprig_run(&rig, 8, LIMIT_MS));
	check_all(&rig, 8, 200);
	for (uint32_t i = 0; i < 8; i++)
		cr_assert_str_eq(rig.results[i].body, "abc");
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 2);
	check_healthy(&rig);
	httprig_deinit(&rig);
}

Test(beat_lane, keeps_the_order_on_one_connection)
{
	struct httprig rig;

	init(&rig, 1, 1);
	httprig_start(&rig, 0, httprig_ok);
	submit_many(&rig, 200);
	cr_assert(httprig_run(&rig, 200, LIMIT_MS));
	for (uint32_t i = 0; i < 200; i++)
		cr_assert_eq(rig.results[i].serial, i);
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 1);
	httprig_deinit(&rig);
}

/* The servers' habit: the hundredth reply of a connection carries Connection: close. */
Test(beat_lane, carries_1000_beats_over_2_connections_that_end_after_100)
{
	static const struct byteserver_step steps[] = { HTTPRIG_OK,      TIMES(99), EXPECT,
							SEND(LAST_TEXT), CLOSE,     END };
	struct httprig rig;

	init(&rig, 1, 2);
	httprig_start(&rig, 0, steps);
	submit_many(&rig, 1000);
	cr_assert(httprig_run(&rig, 1000, LIMIT_MS));
	check_all(&rig, 1000, 200);
	check_healthy(&rig);
	cr_assert_eq(byteserver_n_requests(rig.servers[0]), 1000, "beats were sent twice");
	cr_assert_eq(byteserver_max_open(rig.servers[0]), 2);
	cr_assert_geq(byteserver_n_connections(rig.servers[0]), 10);
	cr_assert_leq(byteserver_n_connections(rig.servers[0]), 12);
	httprig_deinit(&rig);
}

/* A limit that was seen once need not be one: a server on its way down says close, too. */
Test(beat_lane, does_not_believe_a_limit_that_the_server_does_not_keep)
{
	static const struct byteserver_step limited[] = { HTTPRIG_OK, EXPECT, SEND(LAST_TEXT),
							  CLOSE, END };
	const struct byteserver_step *scripts[] = { limited, httprig_ok };
	struct httprig rig;

	init(&rig, 1, 1);
	cr_assert(byteserver_start(rig.servers[0], scripts, 2));
	submit_many(&rig, 50);
	cr_assert(httprig_run(&rig, 50, LIMIT_MS));
	check_all(&rig, 50, 200);
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 2);
	httprig_deinit(&rig);
}

/* A server that does not say so beforehand: nothing is lost, and nobody is blamed. */
Test(beat_lane, loses_no_beat_when_the_server_closes_unannounced)
{
	static const struct byteserver_step steps[] = { HTTPRIG_OK, TIMES(3), CLOSE, END };
	static const struct byteserver_step resets[] = { HTTPRIG_OK, TIMES(3), RESET, END };
	const struct byteserver_step *scripts[] = { steps, resets };

	for (size_t i = 0; i < 2; i++) {
		struct httprig rig;

		init(&rig, 1, 2);
		httprig_start(&rig, 0, scripts[i]);
		submit_many(&rig, 100);
		cr_assert(httprig_run(&rig, 100, LIMIT_MS));
		check_all(&rig, 100, 200);
		check_healthy(&rig);
		cr_assert_leq(byteserver_max_open(rig.servers[0]), 2);
		httprig_deinit(&rig);
	}
}

/* The request was read and dropped: it goes once more to the same node, on a new connection. */
Test(beat_lane, repeats_a_beat_whose_kept_connection_ends_under_it)
{
	static const struct byteserver_step ends[][5] = {
		{ HTTPRIG_OK, EXPECT, CLOSE, END },
		{ HTTPRIG_OK, EXPECT, RESET, END },
	};

	for (size_t i = 0; i < 2; i++) {
		struct httprig rig;
		struct byteserver_request request;

		init(&rig, 1, 1);
		httprig_start(&rig, 0, ends[i]);
		beat_in_turn(&rig, 2);
		check_all(&rig, 2, 200);
		check_healthy(&rig);
		cr_assert_eq(rig.results[1].n_tried, 1);
		cr_assert_eq(byteserver_n_requests(rig.servers[0]), 3);
		cr_assert_eq(byteserver_n_connections(rig.servers[0]), 2);
		cr_assert(byteserver_request(rig.servers[0], 2, &request));
		cr_assert_str_eq(request.target, "/beat?n=1");
		cr_assert_eq(request.number, 0);
		httprig_deinit(&rig);
	}
}

/* Once: if the new connection ends the same way, the beat has failed. */
Test(beat_lane, repeats_a_beat_once_only)
{
	static const struct byteserver_step first[] = { HTTPRIG_OK, EXPECT, RESET, END };
	const struct byteserver_step *scripts[] = { first, resetting };
	struct httprig rig;

	init(&rig, 1, 1);
	cr_assert(byteserver_start(rig.servers[0], scripts, 2));
	beat_in_turn(&rig, 2);
	check_unanswered(&rig.results[1], HTTP_LOST);
	cr_assert_eq(byteserver_n_requests(rig.servers[0]), 3);
	httprig_deinit(&rig);
}

/* One instance's beat may be what a node dies of each time: the others need not wait for a back-off at once. */
Test(beat_lane, doubts_a_node_that_answered_after_three_breaks)
{
	static const struct byteserver_step first[] = { HTTPRIG_OK, EXPECT, RESET, END };
	const struct byteserver_step *scripts[] = { first, resetting, resetting, resetting };
	struct httprig rig;

	for (unsigned int n_broken = 2; n_broken <= 3; n_broken++) {
		init(&rig, 1, 1);
		cr_assert(byteserver_start(rig.servers[0], scripts, 4));
		beat_in_turn(&rig, 1 + n_broken);
		check_unanswered(&rig.results[n_broken], HTTP_LOST);
		cr_assert_eq(rig.nodes.nodes[0].retry_ms != 0, n_broken == 3);
		httprig_deinit(&rig);
	}
}

static bool no_connection(struct httprig *rig)
{
	return beat_lane_connections(rig->beats, 0) == 0;
}

Test(beat_lane, forgets_an_idle_connection_that_the_server_closes)
{
	static const struct byteserver_step steps[][5] = {
		{ HTTPRIG_OK, WAIT(20), CLOSE, END },
		{ HTTPRIG_OK, WAIT(20), RESET, END },
		{ HTTPRIG_OK, WAIT(20), SEND("HTTP/1.1 408 \r\nConnection: close\r\n\r\n"), END },
	};

	for (size_t i = 0; i < 3; i++) {
		struct httprig rig;

		init(&rig, 1, 1);
		httprig_start(&rig, 0, steps[i]);
		beat_in_turn(&rig, 1);
		cr_assert_eq(beat_lane_connections(rig.beats, 0), 1);
		cr_assert(httprig_run_until(&rig, no_connection, LIMIT_MS));
		check_healthy(&rig);
		beat_in_turn(&rig, 1);
		cr_assert_eq(rig.results[1].status, 200);
		cr_assert_eq(byteserver_n_connections(rig.servers[0]), 2);
		httprig_deinit(&rig);
	}
}

/* Before the server's own idle time-out, which might meet a beat on its way. */
Test(beat_lane, retires_a_connection_without_work)
{
	struct httprig rig;

	init(&rig, 1, 1);
	scale(&rig, 0, 0, 0, 100);
	httprig_start(&rig, 0, httprig_ok);
	beat_in_turn(&rig, 1);
	cr_assert_eq(beat_lane_connections(rig.beats, 0), 1);
	cr_assert(httprig_run_until(&rig, no_connection, LIMIT_MS));
	cr_assert_eq(beat_lane_due_ms(rig.beats), CLOCK_NEVER);
	httprig_deinit(&rig);
}

/* A second reply to one request must not become the answer to the next. */
Test(beat_lane, takes_no_reply_that_it_did_not_ask_for)
{
	static const struct byteserver_step steps[] = {
		EXPECT,
		SEND("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nwrong"),
		END,
	};
	struct httprig rig;

	init(&rig, 1, 1);
	httprig_start(&rig, 0, steps);
	submit_many(&rig, 5);
	cr_assert(httprig_run(&rig, 5, LIMIT_MS));
	check_all(&rig, 5, 200);
	for (uint32_t i = 0; i < 5; i++)
		cr_assert_str_eq(rig.results[i].body, "ok");
	httprig_deinit(&rig);
}

/* One node, one beat: how it ends. */
Test(beat_lane, tells_refused_connections_from_lost_beats)
{
	static const struct {
		const char *name;
		const struct byteserver_step *script;
		enum http_end end;
	} ends[] = {
		{ "refused", NULL, HTTP_UNSENT },
		{ "silent", silent, HTTP_LOST },
		{ "reset", resetting, HTTP_LOST },
		{ "closed", closing, HTTP_LOST },
		{ "half a head", half_head, HTTP_LOST },
		{ "half a body", half_body, HTTP_LOST },
		{ "half, then reset", half_reset, HTTP_LOST },
		{ "garbage", garbage, HTTP_LOST },
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct httprig rig;

		init(&rig, 1, 2);
		scale(&rig, 0, 300, 0, 0);
		if (ends[i].script)
			httprig_start(&rig, 0, ends[i].script);
		beat_in_turn(&rig, 1);
		cr_assert_eq(rig.results[0].end, ends[i].end, "%s", ends[i].name);
		check_unanswered(&rig.results[0], ends[i].end);
		cr_assert_neq(rig.nodes.nodes[0].retry_ms, 0, "%s", ends[i].name);
		cr_assert_str_eq(rig.results[0].node, byteserver_url(rig.servers[0]));
		httprig_deinit(&rig);
	}
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

Test(beat_lane, takes_beats_and_flushes_from_within_done)
{
	struct httprig rig;

	init(&rig, 1, 2);
	rig.then = submit_next;
	httprig_start(&rig, 0, httprig_ok);
	submit(&rig, 1);
	flush(&rig);
	cr_assert(httprig_run(&rig, 50, LIMIT_MS));
	cr_assert_eq(rig.results[49].serial, 50);
	cr_assert_eq(rig.results[49].status, 200);
	httprig_deinit(&rig);
}

Test(beat_lane, takes_no_proxy_from_the_environment)
{
	struct httprig rig;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	init(&rig, 1, 1);
	httprig_start(&rig, 0, httprig_ok);
	beat_in_turn(&rig, 1);
	check_all(&rig, 1, 200);
	httprig_deinit(&rig);
}

/* More than the kernel takes in one write: the rest follows when there is room. */
Test(beat_lane, writes_what_does_not_fit_later)
{
	static const uint32_t n = 8u << 20;
	static const char first[] = "PUT /beat?n=";
	static const char last[] = " HTTP/1.1\r\n";
	struct httprig rig;
	char *request = malloc(n);

	cr_assert_not_null(request);
	memset(request, 'x', n);
	memcpy(request, first, sizeof(first) - 1);
	memcpy(request + n - (sizeof(last) - 1), last, sizeof(last) - 1);
	init(&rig, 1, 1);
	httprig_start(&rig, 0, httprig_ok);
	cr_assert_eq(beat_lane_submit(rig.beats, request, n, request, 0), 0);
	flush(&rig);
	cr_assert(httprig_run(&rig, 1, LIMIT_MS));
	check_all(&rig, 1, 200);
	beat_in_turn(&rig, 1);
	cr_assert_eq(rig.results[1].status, 200);
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 1);
	httprig_deinit(&rig);
}

/* What is queued and in flight goes with the lane, quietly; the texts stay the caller's. */
Test(beat_lane, can_be_freed_at_any_time)
{
	struct httprig rig;
	static const char line[] = "PUT /beat HTTP/1.1\r\n";

	init(&rig, 3, 1);
	httprig_start(&rig, 0, silent);
	httprig_start(&rig, 1, refusing);
	rig.then = NULL;
	for (uint32_t i = 0; i < 10; i++)
		cr_assert_eq(beat_lane_submit(rig.beats, line, sizeof(line) - 1, NULL, i), 0);
	flush(&rig);
	while (byteserver_n_requests(rig.servers[0]) == 0) {
		loop_turn(&rig.loop, 10);
		beat_lane_tick(rig.beats, clock_now_ms());
	}
	cr_assert_eq(beat_lane_submit(rig.beats, line, sizeof(line) - 1, NULL, 99), 0);
	rig.n_results = 0;
	rig.beats = beat_lane_free(rig.beats);
	cr_assert_eq(rig.n_results, 0, "done was called while freeing");
	httprig_deinit(&rig);
}
