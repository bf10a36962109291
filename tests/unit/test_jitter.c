/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "beat/jitter.h"

Test(jitter, reaches_both_ends_of_its_span_and_nothing_beyond)
{
	uint32_t seed = jitter_seed(1);
	uint32_t n_seen[4] = { 0 };

	for (int i = 0; i < 4000; i++) {
		uint32_t x = jitter_upto(&seed, 3);

		cr_assert_leq(x, 3);
		n_seen[x]++;
	}
	for (int i = 0; i < 4; i++)
		cr_assert(n_seen[i] > 850 && n_seen[i] < 1150, "%d: %u of 4000", i, n_seen[i]);
	cr_assert_eq(jitter_upto(&seed, 0), 0);
}

Test(jitter, takes_the_widest_span)
{
	uint32_t seed = jitter_seed(1);
	uint32_t all = 0;

	for (int i = 0; i < 100; i++)
		all |= jitter_upto(&seed, UINT32_MAX);
	cr_assert_eq(all, UINT32_MAX);
}

Test(jitter, never_gets_stuck_whatever_the_seed)
{
	for (uint32_t number = 0; number < 10000; number++) {
		uint32_t seed = jitter_seed(number);
		uint32_t first = jitter_upto(&seed, UINT32_MAX);

		cr_assert_neq(jitter_upto(&seed, UINT32_MAX), first);
	}
}

/* Instances get consecutive numbers. */
Test(jitter, first_numbers_of_neighbouring_seeds_are_spread)
{
	uint32_t n_in_tenth[10] = { 0 };

	for (uint32_t number = 0; number < 10000; number++) {
		uint32_t seed = jitter_seed(number);

		n_in_tenth[jitter_upto(&seed, 9)]++;
	}
	for (int i = 0; i < 10; i++)
		cr_assert(n_in_tenth[i] > 850 && n_in_tenth[i] < 1150, "%d: %u", i, n_in_tenth[i]);
}

Test(jitter, back_off_doubles_up_to_5_s)
{
	static const struct {
		uint32_t n_failures, from_ms, to_ms;
	} steps[] = { { 1, 800, 1200 },  { 2, 1600, 2400 },  { 3, 3200, 4800 },
		      { 4, 4000, 5000 }, { 40, 4000, 5000 }, { UINT32_MAX, 4000, 5000 } };
	uint32_t seed = jitter_seed(1);

	for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint32_t least = UINT32_MAX, most = 0;

		for (int n = 0; n < 3000; n++) {
			uint32_t ms = jitter_backoff_ms(&seed, steps[i].n_failures);

			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		cr_assert(least >= steps[i].from_ms && least < steps[i].from_ms + 10);
		cr_assert(most <= steps[i].to_ms && most > steps[i].to_ms - 10);
	}
}
