/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The request lane: what goes over connections, in which order, and what comes back
 *
 * Time-outs are scaled down where a deadline is what is tested; otherwise nothing waits for time to pass.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lib/http_steps.h"
#include "lib/httprig.h"

#define TARGET "/nacos/v1/ns/instance?a=b"

static void submit(struct httprig *rig, enum http_method method, const char *target,
		   uint32_t serial)
{
	cr_assert_eq(request_lane_submit(rig->requests, method, target, 0, rig, serial), 0);
}

/* One server, one script, one request: its result. */
static struct httprig_result ask(const struct byteserver_step *script, enum http_method method)
{
	struct httprig rig;
	struct httprig_result result;

	httprig_init(&rig, 1);
	httprig_add_requests(&rig, 1);
	request_lane_set_timeouts(rig.requests, 10000, script == silent ? 400 : 15000);
	if (script)
		httprig_start(&rig, 0, script);
	submit(&rig, method, TARGET, 7);
	cr_assert(httprig_run(&rig, 1, LIMIT_MS));
	result = rig.results[0];
	cr_assert_eq(result.tag, &rig);
	cr_assert_eq(result.serial, 7);
	cr_assert_eq(result.n_tried, 1);
	cr_assert_str_eq(result.node, byteserver_url(rig.servers[0]));
	cr_assert_eq(request_lane_backlog(rig.requests), 0);
	httprig_deinit(&rig);
	return result;
}

static void check_unanswered(const struct httprig_result *result, enum http_end end)
{
	cr_assert_eq(result->end, end, "ended as %d: %s", (int)result->end, result->why);
	cr_assert_eq(result->status, 0);
	cr_assert_str_empty(result->body);
	cr_assert_str_not_empty(result->why);
}

Test(request_lane, sends_each_method_with_the_lanes_head)
{
	static const char *const names[] = { "GET", "POST", "PUT", "DELETE" };
	struct httprig rig;

	httprig_init(&rig, 1);
	httprig_add_requests(&rig, 1);
	httprig_start(&rig, 0, httprig_ok);
	for (uint32_t i = 0; i < 4; i++) {
		struct byteserver_request request;
		char host[64];

		submit(&rig, (enum http_method)i, TARGET, i);
		cr_assert_eq(rig.n_results, i, "done was called from submit");
		cr_assert(httprig_run(&rig, i + 1, LIMIT_MS));
		cr_assert_eq(rig.results[i].end, HTTP_ANSWERED);
		cr_assert_eq(rig.results[i].status, 200);
		cr_assert_str_eq(
			rig.results[i].body,
			"{\"clientBeatInterval\":5000,\"code\":10200,\"lightBeatEnabled\":true}");
		cr_assert_eq(rig.results[i].n_body, 64);
		cr_assert(byteserver_request(rig.servers[0], i, &request));
		cr_assert_str_eq(request.method, names[i]);
		cr_assert_str_eq(request.target, TARGET);
		snprintf(host, sizeof(host), "\r\nHost: %s\r\n",
			 byteserver_url(rig.servers[0]) + strlen("http://"));
		cr_assert_not_null(strstr(request.head, host), "%s", request.head);
		cr_assert_not_null(strstr(request.head, "\r\nUser-Agent: onebeat/"), "%s",
				   request.head);
		cr_assert_not_null(strstr(request.head, "\r\nClient-Version: "), "%s",
				   request.head);
		cr_assert_not_null(strstr(request.head, "\r\nAccept: application/json, */*\r\n"),
				   "%s", request.head);
		cr_assert_not_null(strstr(request.head, "\r\nContent-Length: 0\r\n"), "%s",
				   request.head);
		cr_assert_null(strcasestr(request.head, "expect:"), "%s", request.head);
	}
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 1, "the connection was not kept");
	httprig_deinit(&rig);
}

Test(request_lane, understands_every_framing)
{
	static const struct byteserver_step steps[] = {
		EXPECT,
		SEND_SPLIT(
			"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
			7),
		EXPECT,
		SEND("HTTP/1.1 404 \r\nContent-Length: 3\r\n\r\nabc"),
		EXPECT,
		SEND("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc"),
		EXPECT,
		SEND("HTTP/1.1 200 \r\n\r\nabc"),
		CLOSE,
		END,
	};
	struct httprig rig;

	httprig_init(&rig, 1);
	httprig_add_requests(&rig, 1);
	httprig_start(&rig, 0, steps);
	for (uint32_t i = 0; i < 4; i++)
		submit(&rig, HTTP_GET, TARGET, i);
	cr_assert(httprig_run(&rig, 4, LIMIT_MS));
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert_eq(rig.results[i].end, HTTP_ANSWERED, "%u: %s", i, rig.results[i].why);
		cr_assert_eq(rig.results[i].status, i == 1 ? 404 : 200);
		cr_assert_str_eq(rig.results[i].body, "abc");
	}
	httprig_deinit(&rig);
}

Test(request_lane, cuts_long_bodies)
{
	static const size_t n = HTTP_BODY_MAX + 1000;
	char *reply;
	struct byteserver_step steps[] = { EXPECT, { .act = BYTESERVER_SEND }, AGAIN, END };
	struct httprig_result result;
	int n_head = asprintf(&reply, "HTTP/1.1 200 \r\nContent-Length: %zu\r\n\r\n%*s", n, (int)n,
			      "x");

	cr_assert_gt(n_head, 0);
	steps[1].text = reply;
	result = ask(steps, HTTP_GET);
	cr_assert_eq(result.end, HTTP_ANSWERED);
	cr_assert_eq(result.n_body, HTTP_BODY_MAX);
	free(reply);
}

/* Nothing can have been carried out: no server took it. */
Test(request_lane, tells_refused_connections_from_lost_requests)
{
	static const struct {
		const char *name;
		const struct byteserver_step *script;
		enum http_end end;
	} ends[] = {
		{ "refused", NULL, HTTP_UNSENT },  { "silent", silent, HTTP_LOST },
		{ "reset", resetting, HTTP_LOST }, { "half a reply", half_body, HTTP_LOST },
		{ "garbage", garbage, HTTP_LOST },
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct httprig_result result = ask(ends[i].script, HTTP_POST);

		check_unanswered(&result, ends[i].end);
		cr_assert_eq(result.lost, ends[i].end == HTTP_LOST, "%s", ends[i].name);
	}
}

/* What is served in the first place is what users see: a DELETE must not wait behind a thousand POSTs. */
Test(request_lane, sends_deletes_first_and_keeps_the_order_within_a_kind)
{
	static const struct {
		enum http_method method;
		const char *target;
	} order[] = { { HTTP_POST, "/p1" }, { HTTP_POST, "/p2" },   { HTTP_DELETE, "/d1" },
		      { HTTP_GET, "/g1" },  { HTTP_DELETE, "/d2" }, { HTTP_POST, "/p3" } };
	static const char *const wanted[] = { "/d1", "/d2", "/p1", "/p2", "/g1", "/p3" };
	struct httprig rig;

	httprig_init(&rig, 1);
	httprig_add_requests(&rig, 1);
	httprig_start(&rig, 0, httprig_ok);
	for (uint32_t i = 0; i < 6; i++)
		submit(&rig, order[i].method, order[i].target, i);
	cr_assert_eq(request_lane_backlog(rig.requests), 6);
	cr_assert(httprig_run(&rig, 6, LIMIT_MS));
	for (uint32_t i = 0; i < 6; i++) {
		struct byteserver_request request;

		cr_assert(byteserver_request(rig.servers[0], i, &request));
		cr_assert_str_eq(request.target, wanted[i]);
	}
	httprig_deinit(&rig);
}

Test(request_lane, never_opens_more_connections_than_it_may)
{
	struct httprig rig;

	httprig_init(&rig, 2);
	httprig_add_requests(&rig, 2);
	httprig_start(&rig, 0, httprig_ok);
	httprig_start(&rig, 1, httprig_ok);
	for (uint32_t i = 0; i < 300; i++)
		submit(&rig, HTTP_POST, TARGET, i);
	cr_assert(httprig_run(&rig, 300, LIMIT_MS));
	for (uint32_t i = 0; i < 2; i++) {
		cr_assert_leq(byteserver_n_connections(rig.servers[i]), 2);
	}
	for (uint32_t i = 0; i < 300; i++)
		cr_assert_eq(rig.results[i].status, 200);
	httprig_deinit(&rig);
}

/* Tomcat's habit: the last of so many requests is answered with Connection: close. */
Test(request_lane, goes_on_where_the_server_limits_requests_per_connection)
{
	static const struct byteserver_step steps[] = {
		HTTPRIG_OK,
		HTTPRIG_OK,
		EXPECT,
		SEND("HTTP/1.1 200 \r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
		CLOSE,
		END,
	};
	struct httprig rig;

	httprig_init(&rig, 1);
	httprig_add_requests(&rig, 1);
	httprig_start(&rig, 0, steps);
	for (uint32_t i = 0; i < 30; i++)
		submit(&rig, HTTP_POST, TARGET, i);
	cr_assert(httprig_run(&rig, 30, LIMIT_MS));
	for (uint32_t i = 0; i < 30; i++)
		cr_assert_eq(rig.results[i].status, 200, "%u: %s", i, rig.results[i].why);
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 10);
	cr_assert_eq(byteserver_max_open(rig.servers[0]), 1);
	cr_assert_eq(byteserver_n_requests(rig.servers[0]), 30);
	httprig_deinit(&rig);
}

/* A kept connection that the server resets is the server's habit, not an outage. */
Test(request_lane, repeats_a_request_whose_kept_connection_is_dead)
{
	static const struct byteserver_step steps[] = { HTTPRIG_OK, EXPECT, RESET, END };
	struct httprig rig;

	httprig_init(&rig, 1);
	httprig_add_requests(&rig, 1);
	httprig_start(&rig, 0, steps);
	for (uint32_t i = 0; i < 2; i++) {
		submit(&rig, HTTP_POST, TARGET, i);
		cr_assert(httprig_run(&rig, i + 1, LIMIT_MS));
		cr_assert_eq(rig.results[i].status, 200, "%u: %s", i, rig.results[i].why);
	}
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 2);
	cr_assert_eq(rig.nodes.nodes[0].retry_ms, 0);
	httprig_deinit(&rig);
}

/* An idle connection that the server closes must neither spin the loop nor hurt the next request. */
Test(request_lane, drops_an_idle_connection_that_the_server_closed)
{
	static const struct byteserver_step ends[][5] = {
		{ HTTPRIG_OK, WAIT(20), CLOSE, END },
		{ HTTPRIG_OK, WAIT(20), RESET, END },
	};

	for (size_t i = 0; i < 2; i++) {
		struct httprig rig;
		uint32_t n_turns = 0;
		uint64_t end_ms;

		httprig_init(&rig, 1);
		httprig_add_requests(&rig, 1);
		httprig_start(&rig, 0, ends[i]);
		submit(&rig, HTTP_POST, TARGET, 1);
		cr_assert(httprig_run(&rig, 1, LIMIT_MS));
		for (end_ms = clock_now_ms() + 200; clock_now_ms() < end_ms; n_turns++)
			loop_turn(&rig.loop, clock_wait_ms(clock_now_ms(), end_ms));
		cr_assert_leq(n_turns, 10, "the closed connection woke the loop %u times", n_turns);
		submit(&rig, HTTP_POST, TARGET, 2);
		cr_assert(httprig_run(&rig, 2, LIMIT_MS));
		cr_assert_eq(rig.results[1].status, 200);
		cr_assert_eq(rig.nodes.nodes[0].retry_ms, 0);
		httprig_deinit(&rig);
	}
}

static void submit_next(struct httprig *rig, const struct httprig_result *result)
{
	if (result->serial < 20)
		submit(rig, HTTP_POST, TARGET, result->serial + 1);
}

Test(request_lane, takes_requests_from_within_done)
{
	struct httprig rig;

	httprig_init(&rig, 1);
	httprig_add_requests(&rig, 1);
	rig.then = submit_next;
	httprig_start(&rig, 0, httprig_ok);
	submit(&rig, HTTP_POST, TARGET, 1);
	cr_assert(httprig_run(&rig, 20, LIMIT_MS));
	cr_assert_eq(rig.results[19].serial, 20);
	cr_assert_eq(byteserver_n_connections(rig.servers[0]), 1);
	httprig_deinit(&rig);
}

Test(request_lane, takes_no_proxy_from_the_environment)
{
	struct httprig_result result;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	result = ask(httprig_ok, HTTP_GET);
	cr_assert_eq(result.status, 200, "%s", result.why);
}

/* What is queued and in flight goes with the lane, quietly. */
Test(request_lane, can_be_freed_at_any_time)
{
	struct httprig rig;

	httprig_init(&rig, 2);
	httprig_add_requests(&rig, 1);
	httprig_start(&rig, 0, silent);
	httprig_start(&rig, 1, refusing);
	for (uint32_t i = 0; i < 10; i++)
		submit(&rig, i % 2 ? HTTP_DELETE : HTTP_POST, TARGET, i);
	while (byteserver_n_requests(rig.servers[0]) == 0) {
		request_lane_tick(rig.requests, clock_now_ms());
		loop_turn(&rig.loop, 10);
	}
	rig.n_results = 0;
	httprig_deinit(&rig);
	cr_assert_eq(rig.n_results, 0, "done was called while freeing");
}

/* A host name takes another path through libcurl (its resolver's thread and socket pair) than an address does. */
Test(request_lane, resolves_names)
{
	struct httprig rig;
	struct http_nodes by_name;
	const char *url;
	char text[64];

	httprig_init(&rig, 1);
	httprig_start(&rig, 0, httprig_ok);
	snprintf(text, sizeof(text), "http://localhost%s",
		 strrchr(byteserver_url(rig.servers[0]), ':'));
	url = text;
	cr_assert_eq(http_nodes_init(&by_name, &url, 1, 1), 0);
	http_nodes_deinit(&rig.nodes);
	rig.nodes = by_name;
	httprig_add_requests(&rig, 1);
	for (uint32_t i = 0; i < 5; i++) {
		submit(&rig, HTTP_POST, TARGET, i);
		cr_assert(httprig_run(&rig, i + 1, LIMIT_MS));
		cr_assert_eq(rig.results[i].status, 200, "%s", rig.results[i].why);
	}
	httprig_deinit(&rig);
}
