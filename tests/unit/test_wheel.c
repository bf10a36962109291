/* SPDX-License-Identifier: Apache-2.0 */
/* The timing wheel, alone and against a list of deadlines that is searched from end to end. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "beat/container.h"
#include "beat/wheel.h"

#define START_MS 7777u
#define LAP_MS (WHEEL_TICK_MS * WHEEL_SLOTS)

/* When a node that is due at due_ms can be taken. */
static uint64_t tick_end_ms(uint64_t due_ms)
{
	return (due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS * WHEEL_TICK_MS;
}

static uint32_t count(const struct wheel_node *node)
{
	uint32_t n = 0;

	for (; node; node = node->next)
		n++;
	return n;
}

static bool holds(const struct wheel_node *chain, const struct wheel_node *node)
{
	for (; chain; chain = chain->next)
		if (chain == node)
			return true;
	return false;
}

Test(wheel, an_empty_one_is_never_due)
{
	struct wheel w;

	wheel_init(&w, START_MS);
	cr_assert_eq(wheel_due_ms(&w), CLOCK_NEVER);
	cr_assert_null(wheel_take(&w, START_MS + 10 * LAP_MS, 100));
	cr_assert_eq(wheel_due_ms(&w), CLOCK_NEVER);
}

Test(wheel, a_node_comes_in_its_tick_and_never_early)
{
	for (uint64_t wait_ms = 1; wait_ms < 2 * LAP_MS; wait_ms += 37) {
		struct wheel_node node = { 0 };
		struct wheel w;
		uint64_t end_ms = tick_end_ms(START_MS + wait_ms);

		wheel_init(&w, START_MS);
		wheel_set(&w, &node, START_MS + wait_ms);
		cr_assert_leq(wheel_due_ms(&w), end_ms, "after %lu ms", wait_ms);
		cr_assert_null(wheel_take(&w, end_ms - 1, 100), "early after %lu ms", wait_ms);
		cr_assert_eq(wheel_take(&w, end_ms, 100), &node, "not after %lu ms", wait_ms);
		cr_assert_null(node.next);
		cr_assert_null(node.prevp);
		cr_assert_eq(w.n_nodes, 0);
	}
}

Test(wheel, within_a_lap_the_due_time_is_exact)
{
	for (uint64_t wait_ms = 1; wait_ms < LAP_MS - 2 * WHEEL_TICK_MS; wait_ms += 11) {
		struct wheel_node node = { 0 };
		struct wheel w;

		wheel_init(&w, START_MS);
		wheel_set(&w, &node, START_MS + wait_ms);
		cr_assert_eq(wheel_due_ms(&w), tick_end_ms(START_MS + wait_ms));
	}
}

Test(wheel, a_due_time_in_the_past_means_the_next_tick)
{
	struct wheel_node nodes[3] = { 0 };
	struct wheel w;

	wheel_init(&w, START_MS);
	wheel_set(&w, &nodes[0], 0);
	wheel_set(&w, &nodes[1], START_MS);
	wheel_set(&w, &nodes[2], START_MS - 5000);
	cr_assert_eq(wheel_due_ms(&w), tick_end_ms(START_MS));
	cr_assert_null(wheel_take(&w, START_MS, 100));
	cr_assert_eq(count(wheel_take(&w, tick_end_ms(START_MS), 100)), 3);
}

Test(wheel, a_due_time_of_never_takes_a_node_off)
{
	struct wheel_node node = { 0 };
	struct wheel w;

	wheel_init(&w, START_MS);
	wheel_set(&w, &node, START_MS + 1000);
	wheel_set(&w, &node, CLOCK_NEVER);
	cr_assert_eq(w.n_nodes, 0);
	cr_assert_eq(wheel_due_ms(&w), CLOCK_NEVER);
	cr_assert_null(node.prevp);
}

Test(wheel, setting_a_node_again_moves_it)
{
	struct wheel_node node = { 0 };
	struct wheel w;

	wheel_init(&w, START_MS);
	wheel_set(&w, &node, START_MS + 1000);
	wheel_set(&w, &node, START_MS + 3 * LAP_MS);
	wheel_set(&w, &node, START_MS + 5000);
	cr_assert_eq(w.n_nodes, 1);
	cr_assert_null(wheel_take(&w, tick_end_ms(START_MS + 1000), 100));
	cr_assert_eq(wheel_due_ms(&w), tick_end_ms(START_MS + 5000));
	cr_assert_eq(wheel_take(&w, tick_end_ms(START_MS + 5000), 100), &node);
}

Test(wheel, a_cleared_node_does_not_come_and_its_neighbours_do)
{
	struct wheel_node nodes[5] = { 0 };
	struct wheel w;
	struct wheel_node *taken;

	for (int left_out = 0; left_out < 5; left_out++) {
		wheel_init(&w, START_MS);
		for (int i = 0; i < 5; i++)
			wheel_set(&w, &nodes[i], START_MS + 1000);
		wheel_clear(&w, &nodes[left_out]);
		wheel_clear(&w, &nodes[left_out]);
		cr_assert_eq(w.n_nodes, 4);
		taken = wheel_take(&w, START_MS + 2000, 100);
		cr_assert_eq(count(taken), 4);
		cr_assert_not(holds(taken, &nodes[left_out]));
	}
}

Test(wheel, clearing_a_slots_last_node_lets_the_wheel_sleep)
{
	struct wheel_node nodes[2] = { 0 };
	struct wheel w;

	wheel_init(&w, START_MS);
	wheel_set(&w, &nodes[0], START_MS + 1000);
	wheel_set(&w, &nodes[1], START_MS + 1000);
	wheel_clear(&w, &nodes[1]);
	cr_assert_neq(wheel_due_ms(&w), CLOCK_NEVER);
	wheel_clear(&w, &nodes[0]);
	cr_assert_eq(wheel_due_ms(&w), CLOCK_NEVER);
}

Test(wheel, clearing_a_taken_node_does_nothing)
{
	struct wheel_node nodes[2] = { 0 };
	struct wheel w;

	wheel_init(&w, START_MS);
	wheel_set(&w, &nodes[0], START_MS + 500);
	wheel_set(&w, &nodes[1], START_MS + 1000);
	cr_assert_eq(wheel_take(&w, START_MS + 600, 100), &nodes[0]);
	wheel_clear(&w, &nodes[0]);
	cr_assert_eq(w.n_nodes, 1);
	cr_assert_eq(wheel_take(&w, START_MS + 1100, 100), &nodes[1]);
}

Test(wheel, no_more_than_asked_for_come_and_the_rest_stays_due)
{
	struct wheel_node nodes[10] = { 0 };
	bool seen[10] = { false };
	struct wheel w;
	uint64_t now_ms = START_MS + 5000;

	wheel_init(&w, START_MS);
	for (uint32_t i = 0; i < 10; i++)
		wheel_set(&w, &nodes[i], START_MS + 1000 + i / 5 * 1000);
	cr_assert_null(wheel_take(&w, now_ms, 0));
	for (uint32_t left = 10; left > 0;) {
		struct wheel_node *taken = wheel_take(&w, now_ms, 3);

		cr_assert_eq(count(taken), left < 3 ? left : 3);
		for (; taken; taken = taken->next) {
			cr_assert_not(seen[taken - nodes]);
			seen[taken - nodes] = true;
			left--;
		}
		if (left > 0)
			cr_assert_leq(wheel_due_ms(&w), now_ms);
	}
	cr_assert_eq(wheel_due_ms(&w), CLOCK_NEVER);
}

Test(wheel, a_node_set_while_others_wait_does_not_overtake_them)
{
	struct wheel_node nodes[3] = { 0 };
	struct wheel w;
	struct wheel_node *taken;

	wheel_init(&w, START_MS);
	wheel_set(&w, &nodes[0], START_MS + 1000);
	wheel_set(&w, &nodes[1], START_MS + 1000);
	taken = wheel_take(&w, START_MS + 9000, 1);
	cr_assert_not_null(taken);
	wheel_set(&w, &nodes[2], START_MS + 9000);
	cr_assert_neq(wheel_take(&w, START_MS + 9100, 1), &nodes[2]);
	cr_assert_eq(wheel_take(&w, START_MS + 9100, 1), &nodes[2]);
}

Test(wheel, a_clock_that_stands_or_goes_back_takes_nothing)
{
	struct wheel_node node = { 0 };
	struct wheel w;

	wheel_init(&w, START_MS);
	wheel_set(&w, &node, START_MS + 150);
	cr_assert_null(wheel_take(&w, START_MS, 100));
	cr_assert_null(wheel_take(&w, 0, 100));
	cr_assert_eq(wheel_take(&w, START_MS + 300, 100), &node);
}

Test(wheel, after_a_jump_of_many_laps_all_comes_in_the_order_of_its_ticks)
{
	static struct wheel_node nodes[2000];
	struct wheel w;
	struct wheel_node *taken;
	uint64_t before = 0;
	uint32_t n = 0;

	wheel_init(&w, START_MS);
	for (uint32_t i = 0; i < 2000; i++)
		wheel_set(&w, &nodes[i], START_MS + (i * 7919u) % (20 * LAP_MS));
	taken = wheel_take(&w, START_MS + UINT64_C(30) * 86400000, UINT32_MAX);
	for (; taken; taken = taken->next, n++) {
		cr_assert_geq(taken->due_tick, before);
		before = taken->due_tick;
	}
	cr_assert_eq(n, 2000);
}

Test(wheel, its_tick_follows_a_jump_with_nothing_due)
{
	struct wheel_node node = { 0 };
	struct wheel w;
	uint64_t now_ms = START_MS + UINT64_C(400) * 86400000;

	wheel_init(&w, START_MS);
	cr_assert_null(wheel_take(&w, now_ms, 100));
	wheel_set(&w, &node, now_ms + 1000);
	cr_assert_eq(wheel_due_ms(&w), tick_end_ms(now_ms + 1000));
}

/* Against the list */

#define N_NODES 300u

struct model {
	struct wheel wheel;
	struct wheel_node nodes[N_NODES];
	uint64_t due_ms[N_NODES]; /* as a tick's end; CLOCK_NEVER: off */
	uint64_t now_ms;
};

static uint64_t earliest(const struct model *m)
{
	uint64_t due_ms = CLOCK_NEVER;

	for (uint32_t i = 0; i < N_NODES; i++)
		if (m->due_ms[i] < due_ms)
			due_ms = m->due_ms[i];
	return due_ms;
}

static void check_take(struct model *m, uint32_t max)
{
	struct wheel_node *taken = wheel_take(&m->wheel, m->now_ms, max);
	uint32_t n = 0;

	for (; taken; taken = taken->next, n++) {
		cr_assert_eq(m->due_ms[taken - m->nodes], earliest(m));
		cr_assert_leq(m->due_ms[taken - m->nodes], m->now_ms);
		m->due_ms[taken - m->nodes] = CLOCK_NEVER;
	}
	cr_assert_leq(n, max);
	if (n < max)
		cr_assert_gt(earliest(m), m->now_ms);
}

static void check_counts(const struct model *m)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < N_NODES; i++) {
		n += m->due_ms[i] != CLOCK_NEVER;
		cr_assert_eq(m->nodes[i].prevp != NULL, m->due_ms[i] != CLOCK_NEVER);
	}
	cr_assert_eq(m->wheel.n_nodes, n);
	cr_assert_leq(wheel_due_ms(&m->wheel), earliest(m));
}

Test(wheel, does_what_a_plain_list_would_do)
{
	static struct model m;
	unsigned short seed[3] = { 1, 2, 3 };

	wheel_init(&m.wheel, START_MS);
	m.now_ms = START_MS;
	memset(m.due_ms, 0xff, sizeof(m.due_ms));
	for (int i = 0; i < 100000; i++) {
		uint32_t who = (uint32_t)nrand48(seed) % N_NODES;
		uint64_t span_ms = nrand48(seed) % 4 ? 3000 : 4 * LAP_MS;
		uint64_t wait_ms = (uint64_t)nrand48(seed) % span_ms + 1;

		switch (nrand48(seed) % 8) {
		case 0:
			wheel_clear(&m.wheel, &m.nodes[who]);
			m.due_ms[who] = CLOCK_NEVER;
			break;
		case 1:
			m.now_ms += wait_ms / 20;
			check_take(&m, UINT32_MAX);
			break;
		case 2:
			m.now_ms += wait_ms / 20;
			check_take(&m, (uint32_t)nrand48(seed) % 4);
			break;
		default:
			wheel_set(&m.wheel, &m.nodes[who], m.now_ms + wait_ms);
			m.due_ms[who] = tick_end_ms(m.now_ms + wait_ms);
		}
		check_counts(&m);
	}
}

/* A hundred thousand beats of 5 s for ten minutes: each comes once a period, in its tick. */
Test(wheel, a_hundred_thousand_nodes_come_once_a_period)
{
	const uint32_t n_nodes = 100000;
	struct beater {
		struct wheel_node node;
		uint64_t due_ms;
		uint32_t n_beats;
	} *beaters = calloc(n_nodes, sizeof(*beaters));
	struct wheel w;
	uint64_t now_ms = START_MS;

	wheel_init(&w, START_MS);
	for (uint32_t i = 0; i < n_nodes; i++) {
		beaters[i].due_ms = START_MS + 1 + i % 5000;
		wheel_set(&w, &beaters[i].node, beaters[i].due_ms);
	}
	while (now_ms < START_MS + 600000) {
		struct wheel_node *next, *taken;

		now_ms = wheel_due_ms(&w);
		taken = wheel_take(&w, now_ms, UINT32_MAX);
		cr_assert_not_null(taken);
		for (; taken; taken = next) {
			struct beater *b = container_of(taken, struct beater, node);

			next = taken->next;
			cr_assert_eq(tick_end_ms(b->due_ms), now_ms);
			b->n_beats++;
			b->due_ms += 5000;
			wheel_set(&w, &b->node, b->due_ms);
		}
	}
	cr_assert_eq(w.n_nodes, n_nodes);
	for (uint32_t i = 0; i < n_nodes; i++)
		cr_assert(beaters[i].n_beats >= 120 && beaters[i].n_beats <= 121);
	free(beaters);
}
