/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "nacos/choice.h"

#define START_MS 1000000u

Test(choice, begins_with_what_it_is_told)
{
	struct nacos_choice choice;

	nacos_choice_init(&choice, NACOS_V1, false);
	cr_assert_eq(choice.version, NACOS_V1);
}

Test(choice, moves_on_the_first_answer_that_there_is_no_such_api)
{
	struct nacos_choice choice;

	nacos_choice_init(&choice, NACOS_V1, false);
	cr_assert_eq(nacos_choice_no_api(&choice, NACOS_V1, START_MS), NACOS_MOVED);
	cr_assert_eq(choice.version, NACOS_V3);
}

/* All that was under way when the first answer came. */
Test(choice, answers_to_what_was_asked_before_the_move_change_nothing)
{
	struct nacos_choice choice;

	nacos_choice_init(&choice, NACOS_V1, false);
	nacos_choice_no_api(&choice, NACOS_V1, START_MS);
	for (uint32_t i = 0; i < 10000; i++)
		cr_assert_eq(nacos_choice_no_api(&choice, NACOS_V1, START_MS + i), NACOS_ASK_AGAIN);
	cr_assert_eq(choice.version, NACOS_V3);
}

Test(choice, moves_back_when_the_server_was_replaced_by_an_older_one)
{
	struct nacos_choice choice;

	nacos_choice_init(&choice, NACOS_V1, false);
	nacos_choice_no_api(&choice, NACOS_V1, START_MS);
	cr_assert_eq(nacos_choice_no_api(&choice, NACOS_V3, START_MS + 3600000), NACOS_MOVED);
	cr_assert_eq(choice.version, NACOS_V1);
}

Test(choice, what_is_fixed_stays)
{
	struct nacos_choice choice;

	nacos_choice_init(&choice, NACOS_V3, true);
	for (uint32_t i = 0; i < 10; i++)
		cr_assert_eq(nacos_choice_no_api(&choice, NACOS_V3, START_MS + i * 60000),
			     NACOS_WAIT);
	cr_assert_eq(choice.version, NACOS_V3);
}

/* A gateway that has lost its servers answers 404 to everything. */
Test(choice, where_neither_is_spoken_moves_are_seldom_and_never_further_than_5_s_apart)
{
	struct nacos_choice choice;
	uint64_t last_ms = START_MS;
	uint32_t n_moves = 0;

	nacos_choice_init(&choice, NACOS_V1, false);
	for (uint64_t now_ms = START_MS; now_ms < START_MS + 120000; now_ms += 10) {
		if (nacos_choice_no_api(&choice, choice.version, now_ms) != NACOS_MOVED)
			continue;
		cr_assert_leq(now_ms - last_ms, 5000);
		cr_assert(n_moves == 0 || now_ms - last_ms >= 1000);
		last_ms = now_ms;
		n_moves++;
	}
	cr_assert(n_moves >= 24 && n_moves <= 28, "%u moves", n_moves);
}

Test(choice, stays_short_again_after_a_calm_minute)
{
	struct nacos_choice choice;
	uint64_t now_ms = START_MS;

	nacos_choice_init(&choice, NACOS_V1, false);
	for (uint32_t i = 0; i < 6; i++, now_ms += 5000)
		cr_assert_eq(nacos_choice_no_api(&choice, choice.version, now_ms), NACOS_MOVED);
	cr_assert_eq(nacos_choice_no_api(&choice, choice.version, now_ms - 1), NACOS_WAIT);
	now_ms += 60000;
	cr_assert_eq(nacos_choice_no_api(&choice, choice.version, now_ms), NACOS_MOVED);
	cr_assert_eq(nacos_choice_no_api(&choice, choice.version, now_ms + 999), NACOS_WAIT);
	cr_assert_eq(nacos_choice_no_api(&choice, choice.version, now_ms + 1000), NACOS_MOVED);
}
