/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "beat/pace.h"

#define START_MS 1000000u
#define N_TURNS 50000u

/* The most turns in any second: turns are in order, so a window need only begin at one. */
static uint32_t most_in_a_second(const uint64_t *turns_ms, uint32_t n)
{
	uint32_t most = 0;

	for (uint32_t first = 0, last = 0; first < n; first++) {
		while (last < n && turns_ms[last] < turns_ms[first] + 1000)
			last++;
		most = last - first > most ? last - first : most;
	}
	return most;
}

Test(pace, a_first_turn_is_now)
{
	struct pace pace = { 0 };

	pace_set(&pace, 10);
	cr_assert_eq(pace_turn(&pace, START_MS), START_MS);
}

Test(pace, no_second_has_more_turns_than_the_rate)
{
	static uint64_t turns_ms[N_TURNS];
	const uint32_t rates[] = { 1, 3, 999, 1000, 1001, 4000, 77777 };

	for (uint32_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct pace pace = { 0 };

		pace_set(&pace, rates[r]);
		for (uint32_t i = 0; i < N_TURNS; i++)
			turns_ms[i] = pace_turn(&pace, START_MS + i / 1000);
		/* Turns are told in whole milliseconds, which may move one across an edge. */
		cr_assert_leq(most_in_a_second(turns_ms, N_TURNS), rates[r] + rates[r] / 1000 + 1,
			      "rate %u", rates[r]);
	}
}

/* Beats of one period find out; the last of 50,000 must be back within one time-out. */
Test(pace, fifty_thousand_are_through_in_12_and_a_half_seconds_at_4000)
{
	struct pace pace = { 0 };
	uint64_t last_ms = 0;

	pace_set(&pace, 4000);
	for (uint32_t i = 0; i < N_TURNS; i++)
		last_ms = pace_turn(&pace, START_MS + i / 10);
	cr_assert_leq(last_ms, START_MS + 12500);
	cr_assert_geq(last_ms, START_MS + 12499);
}

Test(pace, turns_not_taken_are_not_saved_up)
{
	struct pace pace = { 0 };

	pace_set(&pace, 2);
	cr_assert_eq(pace_turn(&pace, START_MS), START_MS);
	cr_assert_eq(pace_turn(&pace, START_MS + 60000), START_MS + 60000);
	cr_assert_eq(pace_turn(&pace, START_MS + 60000), START_MS + 60500);
	cr_assert_eq(pace_turn(&pace, START_MS + 60000), START_MS + 61000);
}

Test(pace, a_new_rate_holds_from_the_next_turn_on)
{
	struct pace pace = { 0 };

	pace_set(&pace, 1);
	cr_assert_eq(pace_turn(&pace, START_MS), START_MS);
	pace_set(&pace, 100);
	cr_assert_eq(pace_turn(&pace, START_MS), START_MS + 1000);
	cr_assert_eq(pace_turn(&pace, START_MS), START_MS + 1010);
}

Test(pace, none_is_no_limit)
{
	struct pace pace = { 0 };

	for (uint32_t i = 0; i < 1000; i++)
		cr_assert_eq(pace_turn(&pace, START_MS), START_MS);
}
