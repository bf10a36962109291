/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of a registry and their health
 *
 * Time is a number here, so every back-off is looked at from both sides.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/nodes.h"

#define NOW UINT64_C(1000000)

static struct http_nodes nodes_of(uint32_t n, uint32_t seed)
{
	static const char *const urls[] = { "http://a:1", "http://b:2", "http://c:3",
					    "http://d:4" };
	struct http_nodes set;

	cr_assert_eq(http_nodes_init(&set, urls, n, seed), 0);
	return set;
}

/* The time at which a node may be asked again. */
static uint64_t delay_ms(const struct http_nodes *set, uint32_t node, uint64_t now_ms)
{
	uint64_t ms = 0;

	while (!http_nodes_usable(set, node, now_ms + ms)) {
		ms++;
		cr_assert_leq(ms, 10000);
	}
	return ms;
}

Test(nodes, take_urls_apart)
{
	static const struct {
		const char *url;
		const char *base;
		const char *host;
	} urls[] = {
		{ "http://nacos:8848", "http://nacos:8848", "nacos:8848" },
		{ "http://nacos", "http://nacos:8848", "nacos:8848" },
		{ "http://10.0.0.1:80", "http://10.0.0.1:80", "10.0.0.1:80" },
		{ "http://[fe80::1]", "http://[fe80::1]:8848", "[fe80::1]:8848" },
		{ "http://[fe80::1]:9", "http://[fe80::1]:9", "[fe80::1]:9" },
		{ "https://nacos", "https://nacos:8848", "nacos:8848" },
		{ "http://nacos:8848/", "http://nacos:8848", "nacos:8848" },
	};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct http_nodes set;

		cr_assert_eq(http_nodes_init(&set, &urls[i].url, 1, 1), 0);
		cr_assert_str_eq(set.nodes[0].base, urls[i].base);
		cr_assert_str_eq(set.nodes[0].host, urls[i].host);
		http_nodes_deinit(&set);
	}
}

/* Agents all over a cluster must not begin with the same node, whatever their seeds look like. */
Test(nodes, begin_anywhere)
{
	uint32_t n_first[4] = { 0 };
	uint32_t n_later[4] = { 0 };
	struct http_nodes set = nodes_of(4, 0);

	for (uint32_t i = 0; i < 1000; i++)
		n_later[http_nodes_start(&set)]++;
	http_nodes_deinit(&set);
	for (uint32_t seed = 0; seed < 1000; seed++) {
		set = nodes_of(4, seed);
		n_first[http_nodes_start(&set)]++;
		http_nodes_deinit(&set);
	}
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert_gt(n_first[i], 180, "node %u is first for %u of 1000 seeds", i,
			     n_first[i]);
		cr_assert_gt(n_later[i], 180, "node %u is first %u of 1000 times", i, n_later[i]);
	}
}

Test(nodes, begin_with_a_healthy_one)
{
	struct http_nodes set = nodes_of(3, 7);

	http_nodes_failed(&set, 0, NOW, "gone");
	http_nodes_failed(&set, 2, NOW, "gone");
	for (int i = 0; i < 100; i++)
		cr_assert_eq(http_nodes_start(&set), 1);
	http_nodes_deinit(&set);
}

Test(nodes, begin_with_the_one_to_be_tried_next_when_none_is_healthy)
{
	struct http_nodes set = nodes_of(3, 7);

	http_nodes_failed(&set, 0, NOW + 5000, "gone");
	http_nodes_failed(&set, 1, NOW, "gone");
	http_nodes_failed(&set, 2, NOW + 9000, "gone");
	for (int i = 0; i < 100; i++)
		cr_assert_eq(http_nodes_start(&set), 1);
	http_nodes_deinit(&set);
}

/* A round asks each once, also when a node's health changes in the middle of it. */
Test(nodes, are_asked_once_each_suspects_last)
{
	struct http_nodes set = nodes_of(4, 7);
	struct http_round round = { 0 };
	uint32_t order[4];
	uint32_t node = 2;

	http_nodes_failed(&set, 3, NOW, "gone");
	order[0] = node;
	http_round_add(&round, node);
	http_nodes_failed(&set, node, NOW, "gone too");
	for (uint32_t i = 1; i < 4; i++) {
		cr_assert(http_nodes_next(&set, &round, CLOCK_NEVER, &node));
		http_round_add(&round, node);
		cr_assert_eq(http_round_count(&round), i + 1, "node %u was asked before", node);
		order[i] = node;
	}
	cr_assert_eq(order[1] + order[2], 0 + 1);
	cr_assert_eq(order[3], 3, "a suspect before a healthy one");
	cr_assert_not(http_nodes_next(&set, &round, CLOCK_NEVER, &node));
	cr_assert_eq(node, 3, "changed where there was nothing to find");
	http_nodes_deinit(&set);
}

Test(nodes, are_passed_over_while_they_back_off)
{
	struct http_nodes set = nodes_of(3, 7);
	struct http_round round = { 0 };
	uint32_t node = 0;

	http_round_add(&round, 0);
	http_nodes_failed(&set, 1, NOW, "gone");
	http_nodes_failed(&set, 2, NOW, "gone");
	cr_assert_not(http_nodes_next(&set, &round, NOW, &node));
	cr_assert(http_nodes_next(&set, &round, NOW + 2000, &node));
	http_nodes_deinit(&set);
}

Test(nodes, back_off_longer_with_every_failure_up_to_two_seconds)
{
	static const uint64_t least_ms[] = { 250, 500, 1000, 1000, 1000, 1000 };

	for (uint32_t seed = 0; seed < 200; seed++) {
		struct http_nodes set = nodes_of(1, seed);
		uint64_t now_ms = NOW;

		for (size_t i = 0; i < sizeof(least_ms) / sizeof(least_ms[0]); i++) {
			uint64_t ms;

			http_nodes_failed(&set, 0, now_ms, "gone");
			ms = delay_ms(&set, 0, now_ms);
			cr_assert_geq(ms, least_ms[i], "failure %zu: %lu ms", i, (unsigned long)ms);
			cr_assert_leq(ms, 2 * least_ms[i], "failure %zu: %lu ms", i,
				      (unsigned long)ms);
			now_ms += ms;
		}
		http_nodes_deinit(&set);
	}
}

/* Many agents lose a node at the same moment, and must not come back at the same moment. */
Test(nodes, back_off_with_jitter)
{
	uint64_t least_ms = UINT64_MAX;
	uint64_t most_ms = 0;

	for (uint32_t seed = 0; seed < 200; seed++) {
		struct http_nodes set = nodes_of(1, seed);
		uint64_t ms;

		http_nodes_failed(&set, 0, NOW, "gone");
		ms = delay_ms(&set, 0, NOW);
		least_ms = ms < least_ms ? ms : least_ms;
		most_ms = ms > most_ms ? ms : most_ms;
		http_nodes_deinit(&set);
	}
	cr_assert_lt(least_ms, 280);
	cr_assert_gt(most_ms, 470);
}

/* Two connections that die with their node are one outage. */
Test(nodes, count_failures_while_backing_off_once)
{
	struct http_nodes set = nodes_of(1, 7);
	uint64_t ms;

	cr_assert(http_nodes_failed(&set, 0, NOW, "refused"));
	ms = delay_ms(&set, 0, NOW);
	cr_assert_not(http_nodes_failed(&set, 0, NOW + ms - 1, "reset"));
	cr_assert_eq(set.nodes[0].n_failures, 1);
	cr_assert_eq(delay_ms(&set, 0, NOW), ms);
	cr_assert_str_eq(set.nodes[0].last_error, "reset");
	cr_assert_not(http_nodes_failed(&set, 0, NOW + ms, "refused"));
	cr_assert_eq(set.nodes[0].n_failures, 2);
	http_nodes_deinit(&set);
}

/* One line in the log for an outage, and one for its end. */
Test(nodes, tell_when_their_health_changes)
{
	struct http_nodes set = nodes_of(2, 7);

	cr_assert_not(http_nodes_answered(&set, 0));
	cr_assert(http_nodes_failed(&set, 0, NOW, "gone"));
	cr_assert_not(http_nodes_failed(&set, 0, NOW + 5000, "gone"));
	cr_assert(http_nodes_failed(&set, 1, NOW, "gone"));
	cr_assert(http_nodes_answered(&set, 0));
	cr_assert_not(http_nodes_answered(&set, 0));
	cr_assert(http_nodes_usable(&set, 0, NOW));
	cr_assert_eq(set.nodes[0].n_failures, 0);
	cr_assert_str_empty(set.nodes[0].last_error);
	cr_assert_not(http_nodes_usable(&set, 1, NOW));
	http_nodes_deinit(&set);
}

/* The next outage begins with a short back-off again. */
Test(nodes, forget_failures_when_they_answer)
{
	struct http_nodes set = nodes_of(1, 7);

	for (uint64_t i = 0; i < 5; i++)
		http_nodes_failed(&set, 0, NOW + i * 5000, "gone");
	http_nodes_answered(&set, 0);
	http_nodes_failed(&set, 0, NOW, "gone");
	cr_assert_leq(delay_ms(&set, 0, NOW), 500);
	http_nodes_deinit(&set);
}

/* Texts of libcurl and of servers can be long. */
Test(nodes, cut_long_errors)
{
	struct http_nodes set = nodes_of(1, 7);
	char text[300];

	memset(text, 'e', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	http_nodes_failed(&set, 0, NOW, text);
	cr_assert_eq(strlen(set.nodes[0].last_error), sizeof(set.nodes[0].last_error) - 1);
	http_nodes_deinit(&set);
}

/* What a dying node leaves behind must not all go to its neighbour. */
Test(nodes, inherit_alike)
{
	struct http_nodes set = nodes_of(4, 7);
	uint32_t n_next[4] = { 0 };

	http_nodes_failed(&set, 1, NOW, "gone");
	for (int i = 0; i < 900; i++) {
		struct http_round round = { 0 };
		uint32_t node = 1;

		http_round_add(&round, node);
		cr_assert(http_nodes_next(&set, &round, NOW, &node));
		n_next[node]++;
	}
	cr_assert_eq(n_next[1], 0);
	for (uint32_t i = 0; i < 4; i++)
		cr_assert(i == 1 || n_next[i] > 200, "node %u got %u of 900", i, n_next[i]);
	http_nodes_deinit(&set);
}

Test(nodes, leave_the_list_and_come_back_to_their_index)
{
	struct http_nodes set = nodes_of(3, 7);
	struct http_round round = { 0 };
	uint32_t node = 0;

	http_nodes_failed(&set, 1, NOW, "gone");
	http_nodes_put(&set, 1, false);
	http_nodes_put(&set, 2, false);
	http_nodes_put(&set, 2, false);
	cr_assert_eq(set.n_in, 1);
	cr_assert_not(http_nodes_usable(&set, 2, CLOCK_NEVER));
	for (int i = 0; i < 20; i++)
		cr_assert_eq(http_nodes_start(&set), 0);
	http_round_add(&round, 0);
	cr_assert_not(http_nodes_next(&set, &round, CLOCK_NEVER, &node));
	cr_assert_eq(http_nodes_find(&set, "http://b:2/"), 1);
	cr_assert_eq(http_nodes_find(&set, "http://b:3"), HTTP_NODES_MAX);
	http_nodes_put(&set, 1, true);
	cr_assert(http_nodes_usable(&set, 1, NOW),
		  "an address that comes back was given its old failures");
	http_nodes_deinit(&set);
}

/* A list of addresses that change for ever must not run out of indices. */
Test(nodes, give_up_an_index_that_nobody_uses)
{
	struct http_nodes set = nodes_of(1, 7);
	char url[32];
	uint32_t node;

	for (uint32_t i = 1; i < HTTP_NODES_MAX; i++) {
		snprintf(url, sizeof(url), "http://n%u:1", i);
		cr_assert_eq(http_nodes_add(&set, url, 0, &node), 0);
		cr_assert_eq(node, i);
	}
	cr_assert_eq(http_nodes_add(&set, "http://more:1", 0, &node), -ENOSPC);
	http_nodes_put(&set, 5, false);
	cr_assert_eq(http_nodes_add(&set, "http://more:1", UINT64_C(1) << 5, &node), 0);
	cr_assert_eq(node, 5);
	cr_assert_str_eq(set.nodes[5].base, "http://more:1");
	cr_assert_eq(http_nodes_find(&set, "http://n5:1"), HTTP_NODES_MAX);
	cr_assert_eq(set.n_in, HTTP_NODES_MAX);
	http_nodes_deinit(&set);
}

Test(nodes, may_be_none)
{
	struct http_nodes set;
	struct http_round round = { 0 };
	uint32_t node = 0;

	cr_assert_eq(http_nodes_init(&set, NULL, 0, 1), 0);
	cr_assert_lt(http_nodes_start(&set), HTTP_NODES_MAX);
	cr_assert_not(http_nodes_next(&set, &round, NOW, &node));
	cr_assert_str_eq(http_nodes_name(&set, node), "none");
	cr_assert_str_eq(http_nodes_why(&set, node), "no server of it is known");
	http_nodes_deinit(&set);
}

/* One name for many servers: the next look at it may give another one. */
Test(nodes, try_an_only_name_three_times_before_it_backs_off)
{
	struct http_nodes set = nodes_of(1, 7);
	struct http_round round = { 0 };
	uint32_t node = 0;

	set.n_tries = 3;
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(delay_ms(&set, 0, NOW), 0, "backs off after try %u", i);
		http_round_add(&round, 0);
		http_nodes_failed(&set, 0, NOW, "gone");
		cr_assert_eq(http_nodes_next(&set, &round, CLOCK_NEVER, &node), i < 2);
	}
	cr_assert_gt(delay_ms(&set, 0, NOW), 0);
	http_nodes_deinit(&set);
}
