/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/* The backlog: every slot waits once, and none waits behind another that comes again and again. */
#include <criterion/criterion.h>

#include "segment/backlog.h"

Test(backlog, takes_each_once_and_goes_round)
{
	static const uint32_t slots[] = { 99, 0, 31, 32, 31, 0 };
	static const uint32_t order[] = { 0, 31, 32, 99 };
	struct backlog b;
	uint32_t slot;

	cr_assert_eq(backlog_init(&b, 100), 0);
	cr_assert_not(backlog_take(&b, &slot));
	for (int i = 0; i < 6; i++)
		backlog_add(&b, slots[i]);
	cr_assert_eq(b.n_waiting, 4);
	for (int i = 0; i < 4; i++) {
		cr_assert(backlog_take(&b, &slot));
		cr_assert_eq(slot, order[i]);
	}
	cr_assert_not(backlog_take(&b, &slot));
	backlog_deinit(&b);
}

Test(backlog, a_busy_slot_does_not_starve_the_rest)
{
	struct backlog b;
	uint32_t slot = 0, n = 0;

	cr_assert_eq(backlog_init(&b, 65536), 0);
	backlog_add(&b, 70);
	backlog_add(&b, 69);
	while (slot != 69 && n++ < 10) {
		backlog_add(&b, 70);
		cr_assert(backlog_take(&b, &slot));
	}
	cr_assert_eq(slot, 69);
	backlog_add(&b, 65535);
	backlog_add(&b, 0);
	for (n = 0; slot != 0 && n < 10; n++) {
		backlog_add(&b, 65535);
		cr_assert(backlog_take(&b, &slot));
	}
	cr_assert_eq(slot, 0);
	backlog_deinit(&b);
}
