/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which node does the work for an instance
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/route.h"

#define NOW UINT64_C(1000000)

static struct http_nodes nodes;
static struct route route;
static struct sender_registry_options options = { .name = "main" };
static struct nacos_api api = { .context = "/nacos" };

static void init(enum registry_route how)
{
	static const char *const urls[] = { "http://10.1.0.1:8848", "http://10.1.0.2:8848",
					    "http://10.1.0.3:8848" };

	log_set_level(LOG_LEVEL_ERROR);
	options.route = how;
	api.version = NACOS_V1;
	cr_assert_eq(http_nodes_init(&nodes, urls, 3, 1), 0);
	cr_assert_eq(route_init(&route, &options, &api, &nodes), 0);
}

static void fini(void)
{
	route_deinit(&route);
	http_nodes_deinit(&nodes);
}

static void told(int status, const char *body)
{
	struct http_result result = { .end = HTTP_ANSWERED,
				      .status = status,
				      .body = body,
				      .n_body = strlen(body),
				      .node = "",
				      .why = "" };
	char target[256];

	cr_assert(route_ask(&route, route_due_ms(&route), target, sizeof(target)));
	route_told(&route, &result, NOW);
}

static void told_members(const char *state_of_second)
{
	char body[1024];

	snprintf(
		body, sizeof(body),
		"{\"code\":200,\"message\":null,\"data\":["
		"{\"ip\":\"10.1.0.3\",\"port\":8848,\"state\":\"UP\",\"address\":\"10.1.0.3:8848\"},"
		"{\"ip\":\"10.1.0.1\",\"port\":8848,\"state\":\"UP\",\"address\":\"10.1.0.1:8848\"},"
		"{\"ip\":\"10.1.0.2\",\"port\":8848,\"state\":\"%s\",\"address\":\"10.1.0.2:8848\"}]}",
		state_of_second);
	told(200, body);
}

static struct http_way way_of(uint16_t port)
{
	struct descriptor d = { .ip = "10.0.0.1",
				.port = port,
				.group = "DEFAULT_GROUP",
				.service = "orders",
				.ephemeral = true };

	return route_way(&route, &d);
}

/* nacos-http 9: of three, 8080 is the first's and 8081 the third's. */
Test(route, leads_to_the_owner)
{
	init(REGISTRY_ROUTE_AUTO);
	told_members("UP");
	cr_assert_eq(route.n_owners, 3);
	cr_expect_eq(way_of(8080).home, 0);
	cr_expect_eq(way_of(8081).home, 2);
	cr_expect_gt(route_due_ms(&route), NOW + 5000);
	fini();
}

Test(route, knows_of_groups_without_owners)
{
	init(REGISTRY_ROUTE_ANY);
	cr_expect_eq(route_due_ms(&route), CLOCK_NEVER, "members are asked for in vain");
	cr_expect_eq(way_of(8080).home, HTTP_NOWHERE);
	cr_expect_eq(way_of(8080).group, 0);
	cr_expect_eq(way_of(8081).group, 2);
	fini();
}

Test(route, forgets_members_that_are_down)
{
	uint32_t epoch;

	init(REGISTRY_ROUTE_AUTO);
	told_members("UP");
	epoch = route.epoch;
	route_trouble(&route, NOW + 100);
	cr_assert_leq(route_due_ms(&route), NOW + 2000, "asked again too late");
	told_members("DOWN");
	cr_assert_eq(route.n_owners, 2);
	cr_expect_neq(route.epoch, epoch);
	for (uint16_t port = 8080; port < 8100; port++)
		cr_expect_neq(way_of(port).home, 1);
	fini();
}

Test(route, keeps_what_it_knows_through_silence_and_errors)
{
	struct http_result silence = { .end = HTTP_LOST, .body = "", .node = "", .why = "gone" };
	char target[256];

	init(REGISTRY_ROUTE_AUTO);
	told_members("UP");
	told(500, "caused: java.lang.Exception");
	cr_assert(route_ask(&route, route_due_ms(&route), target, sizeof(target)));
	cr_assert_eq(route_due_ms(&route), CLOCK_NEVER, "asked twice at a time");
	route_told(&route, &silence, NOW);
	cr_expect_eq(way_of(8081).home, 2);
	cr_expect_lt(route_due_ms(&route), NOW + 5000);
	fini();
}

/* Each path once, and then not before long. */
Test(route, gives_up_servers_that_do_not_tell)
{
	init(REGISTRY_ROUTE_AUTO);
	for (unsigned int i = 0; i < MEMBERS_PATHS; i++) {
		cr_assert_leq(route_due_ms(&route), NOW);
		told(404, "no such path");
	}
	cr_expect_gt(route_due_ms(&route), NOW + 10000);
	cr_expect_eq(way_of(8080).home, HTTP_NOWHERE);
	fini();
}

/* Whoever may not ask an administrator's path may ask the older one. */
Test(route, asks_another_path_where_one_is_denied)
{
	init(REGISTRY_ROUTE_AUTO);
	told(403, "{\"code\":403,\"message\":\"authorization failed!\"}");
	cr_assert_leq(route_due_ms(&route), NOW);
	told_members("UP");
	cr_expect_eq(route.n_owners, 3);
	fini();
}

/* Several registries that know nothing of each other: none of them owns everything. */
Test(route, does_not_believe_a_server_that_knows_but_itself)
{
	init(REGISTRY_ROUTE_AUTO);
	told(200, "{\"code\":200,\"message\":null,\"data\":[{\"ip\":\"10.1.0.1\",\"port\":8848,"
		  "\"state\":\"UP\",\"address\":\"10.1.0.1:8848\"}]}");
	cr_expect_eq(route.n_owners, 0);
	cr_expect_eq(way_of(8080).home, HTTP_NOWHERE);
	fini();
}

Test(route, follows_the_list_of_servers)
{
	init(REGISTRY_ROUTE_AUTO);
	told_members("UP");
	http_nodes_put(&nodes, 2, false);
	route_list_changed(&route);
	cr_expect_eq(way_of(8081).home, HTTP_NOWHERE, "sent to a server that has left");
	cr_expect_eq(way_of(8080).home, 0);
	fini();
}

/* v3 hands nothing on: the node must be the same every time. */
Test(route, stays_with_a_node_of_v3)
{
	init(REGISTRY_ROUTE_ANY);
	api.version = NACOS_V3;
	cr_expect_eq(way_of(8080).home, 0);
	cr_expect_eq(way_of(8081).home, 2);
	fini();
}

/* The list has the cluster's own addresses, which need not be ours; any node will not do for v3 even then. */
Test(route, stays_with_a_node_of_v3_whose_address_the_list_has_not)
{
	uint32_t epoch;

	init(REGISTRY_ROUTE_AUTO);
	told(200, "{\"code\":200,\"message\":null,\"data\":["
		  "{\"state\":\"UP\",\"address\":\"nacos-0.nacos:8848\"},"
		  "{\"state\":\"UP\",\"address\":\"10.1.0.2:8848\"},"
		  "{\"state\":\"UP\",\"address\":\"nacos-2.nacos:8848\"}]}");
	cr_assert_eq(route.n_owners, 3);
	cr_expect_eq(way_of(8081).home, HTTP_NOWHERE, "v1 may ask anybody");
	api.version = NACOS_V3;
	epoch = route.epoch;
	route_api_changed(&route);
	cr_expect_neq(route.epoch, epoch, "instances keep the way of the other API");
	for (uint16_t port = 8080; port < 8100; port++)
		cr_expect_lt(way_of(port).home, 3, "port %u goes anywhere", port);
	http_nodes_put(&nodes, 0, false);
	route_list_changed(&route);
	for (uint16_t port = 8080; port < 8100; port++)
		cr_expect(way_of(port).home == 1 || way_of(port).home == 2, "port %u", port);
	fini();
}

Test(route, keeps_its_owners_when_the_list_changes_after_an_error)
{
	init(REGISTRY_ROUTE_AUTO);
	told_members("UP");
	told(500, "caused: java.lang.Exception");
	http_nodes_put(&nodes, 1, false);
	route_list_changed(&route);
	cr_expect_eq(route.n_owners, 3);
	cr_expect_eq(way_of(8081).home, 2);
	fini();
}
