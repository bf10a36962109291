/* SPDX-License-Identifier: Apache-2.0 */
/* The restart policy: pure, so every time in here is made up. */
#include <criterion/criterion.h>

#include "keeper/restart.h"

/* An agent is started, lives for lived_ms, is ready after ready_after_ms (-1: never), and dies. */
static uint32_t die(struct restart *r, uint64_t lived_ms, long ready_after_ms)
{
	const uint64_t start_ms = 1000000;
	uint64_t ready_ms = ready_after_ms < 0 ? 0 : start_ms + (uint64_t)ready_after_ms;

	return restart_died(r, start_ms, ready_ms, start_ms + lived_ms);
}

Test(restart, is_at_once_then_ever_later_up_to_a_bound)
{
	const uint32_t delays_ms[] = { 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
	struct restart r = RESTART_NULL;

	for (size_t i = 0; i < sizeof(delays_ms) / sizeof(delays_ms[0]); i++)
		cr_assert_eq(die(&r, 50, 10), delays_ms[i], "death %zu", i);
}

Test(restart, begins_anew_after_a_steady_life)
{
	struct restart r = RESTART_NULL;

	for (int i = 0; i < 5; i++)
		die(&r, 50, 10);
	cr_assert_eq(die(&r, RESTART_STEADY_MS - 1, 10), 1600, "not steady enough");
	cr_assert_eq(die(&r, RESTART_STEADY_MS, 10), 0);
	cr_assert_eq(die(&r, 50, 10), 100);
}

Test(restart, quarantines_after_three_early_deaths_in_a_row)
{
	struct restart r = RESTART_NULL;

	die(&r, 5000, 10);
	die(&r, 9000, 10);
	cr_assert(!restart_quarantine(&r));
	die(&r, RESTART_EARLY_MS + 9, 10); /* one ms short of being late */
	cr_assert(restart_quarantine(&r));
	die(&r, 50, -1);
	cr_assert(restart_quarantine(&r), "as long as they go on dying");
	die(&r, RESTART_EARLY_MS + 10, 10);
	cr_assert(!restart_quarantine(&r));
}

Test(restart, counts_late_deaths_not_at_all)
{
	struct restart r = RESTART_NULL;

	die(&r, 50, 10);
	die(&r, 50, 10);
	die(&r, 20000, 10);
	die(&r, 50, 10);
	die(&r, 50, 10);
	cr_assert(!restart_quarantine(&r));
}

/* However long it took: an agent that was never ready died of adopting. */
Test(restart, takes_a_death_before_ready_for_early)
{
	struct restart r = RESTART_NULL;

	for (int i = 0; i < 3; i++)
		die(&r, 30000, -1);
	cr_assert(restart_quarantine(&r));
}

/* Adopting may take long; the time runs from the end of it. */
Test(restart, measures_from_ready)
{
	struct restart r = RESTART_NULL;

	for (int i = 0; i < 3; i++)
		die(&r, 25000, 20000);
	cr_assert(restart_quarantine(&r));
}

/* No program, no memory: nothing was adopted, and to try at once would fail alike. */
Test(restart, backs_off_from_failed_starts_without_quarantine)
{
	struct restart r = RESTART_NULL;

	cr_assert_eq(restart_failed(&r), 100);
	cr_assert_eq(restart_failed(&r), 200);
	for (int i = 0; i < 10; i++)
		cr_assert(restart_failed(&r) <= RESTART_DELAY_MAX_MS);
	cr_assert_eq(restart_failed(&r), RESTART_DELAY_MAX_MS);
	cr_assert(!restart_quarantine(&r));
}
