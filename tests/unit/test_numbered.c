/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * Numbers that name things for a successor.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "segment/state.h"

#define N 1000u

static struct numbered table;
static int items[N];

static void set_up(void)
{
	table = (struct numbered){ .max = N };
}

static void tear_down(void)
{
	numbered_deinit(&table);
}

TestSuite(numbered, .init = set_up, .fini = tear_down);

static uint32_t add(int *item)
{
	uint32_t number;

	cr_assert_eq(numbered_add(&table, item, &number), 0);
	cr_assert_eq(numbered_get(&table, number), item);
	return number;
}

Test(numbered, gives_each_number_once_until_all_are_used)
{
	bool given[N] = { false };
	uint32_t number;

	for (uint32_t i = 0; i < N; i++) {
		number = add(&items[i]);
		cr_assert(number < N && !given[number]);
		given[number] = true;
	}
	cr_assert_eq(numbered_add(&table, &items[0], &number), -ENOSPC);
	cr_assert_eq(table.n_used, N);
}

Test(numbered, takes_given_numbers_in_any_order_and_gives_the_rest)
{
	uint32_t n_given = 0;

	/* 7 and N have no common factor: every number once, in no order. */
	for (uint32_t i = 0; i < N / 2; i++)
		cr_assert_eq(numbered_add_at(&table, &items[i], i * 7 % N), 0);
	cr_assert_eq(table.n_used, N / 2);
	for (uint32_t i = 0; i < N / 2; i++)
		cr_assert_eq(numbered_get(&table, i * 7 % N), &items[i]);
	for (; n_given < N / 2; n_given++)
		(void)add(&items[N / 2 + n_given]); /* would find an item in its place */
	cr_assert_eq(table.n_used, N);
}

Test(numbered, refuses_a_number_that_is_taken_or_out_of_range)
{
	cr_assert_eq(numbered_add_at(&table, &items[0], 3), 0);
	cr_assert_eq(numbered_add_at(&table, &items[1], 3), -EEXIST);
	cr_assert_eq(numbered_add_at(&table, &items[1], N), -ENOSPC);
	cr_assert_eq(numbered_add_at(&table, &items[1], UINT32_MAX), -ENOSPC);
	cr_assert_eq(numbered_get(&table, 3), &items[0]);
	cr_assert_eq(table.n_used, 1);
}

Test(numbered, reuses_what_was_removed)
{
	for (uint32_t i = 0; i < N; i++)
		cr_assert_eq(numbered_add_at(&table, &items[i], N - 1 - i), 0);
	for (uint32_t i = 0; i < N; i += 3)
		numbered_remove(&table, i);
	for (uint32_t i = 0; i < N; i += 3)
		cr_assert_eq(add(&items[i]) % 3, 0);
	cr_assert_eq(table.n_used, N);
}
