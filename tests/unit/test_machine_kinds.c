/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instance state machine: full beats, persistent instances, turns, the other way to ask.
 */
#include <criterion/criterion.h>

#include "lib/machine_script.h"

/* Full beats */

#define UP_FULL(version) WANT_FULL(version), TAKE(POST), REPLY(OK)

Test(machine, full_beats_are_sent_where_they_are_wanted)
{
	PLAY(UP_FULL(1), STATE(UP), DUE(4500, 5000), TAKE_WHEN_DUE(FULL_BEAT), REPLY(OK),
	     DUE(5000, 5000), TAKE_WHEN_DUE(FULL_BEAT), REPLY(LOST), DUE(1000, 2000),
	     TAKE_WHEN_DUE(FULL_BEAT), REPLY(UNKNOWN), STATE(REGISTERING), DUE_NOW, TAKE(POST));
}

/* Put out of service by an update: a full beat would put it back. */
Test(machine, the_newest_definition_says_which_beats_are_sent)
{
	PLAY(UP_FULL(1), WANT(2), TAKE(POST), REPLY(OK), TAKE_WHEN_DUE(BEAT), REPLY(OK),
	     WANT_FULL(3), TAKE(POST), REPLY(OK), TAKE_WHEN_DUE(FULL_BEAT));
}

/* 2.7 race 2: it may create what the DELETE removes. */
Test(machine, a_delete_waits_for_a_full_beat_in_flight)
{
	PLAY(UP_FULL(1), TAKE_WHEN_DUE(FULL_BEAT), LEAVE, STATE(LEAVING), DUE_NEVER, REPLY(OK),
	     DUE_NOW, TAKE(DELETE), REPLY(OK), STATE(GONE));
}

Test(machine, after_a_lost_full_beat_the_delete_is_repeated_once_10_s_later)
{
	PLAY(UP_FULL(1), TAKE_WHEN_DUE(FULL_BEAT), LEAVE, REPLY(LOST), DUE_NOW, TAKE(DELETE),
	     REPLY(OK), STATE(LEAVING), DUE(10000, 10000), TAKE_WHEN_DUE(DELETE), REPLY(OK),
	     STATE(GONE));
	PLAY(UP_FULL(1), TAKE_WHEN_DUE(FULL_BEAT), REPLY(LOST), AFTER(60000), TAKE(FULL_BEAT),
	     REPLY(OK), LEAVE, TAKE(DELETE), REPLY(OK), STATE(GONE));
}

/* If the registry lost it meanwhile, that beat would bring back the older definition. */
Test(machine, an_update_behind_a_lost_full_beat_is_posted_once_more)
{
	PLAY(UP_FULL(1), TAKE_WHEN_DUE(FULL_BEAT), REPLY(LOST), WANT(2), TAKE(POST), REPLY(OK),
	     STATE(UP), TAKE_WHEN_DUE(BEAT), REPLY(OK), AFTER(5500), TAKE(POST), REPLY(OK),
	     STATE(UP));
}

/* Persistent instances */

Test(machine, a_persistent_instance_is_posted_again_from_time_to_time)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(OK), DUE_SELDOM, AFTER(600000), PACE(PACE_POST),
	     TAKE(POST), STATE(UP), REPLY(OK), STATE(UP), DUE_SELDOM, AFTER(600000), TAKE(POST),
	     REPLY(FAILED), STATE(UP), DUE(800, 1200), TAKE_WHEN_DUE(POST), REPLY(OK), DUE_SELDOM);
}

Test(machine, a_wish_for_a_persistent_instance_is_not_paced)
{
	PLAY(WANT_PERSISTENT(1), PACE(AT_ONCE), TAKE(POST), REPLY(OK), WANT_PERSISTENT(2),
	     PACE(AT_ONCE), TAKE(POST));
}

Test(machine, the_delete_of_a_persistent_instance_is_tried_for_an_hour)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(OK), LEAVE, TAKE(DELETE), REPLY(FAILED),
	     DUE(800, 1200), AFTER(36000), TAKE(DELETE), REPLY(FAILED), STATE(LEAVING),
	     AFTER(1800000), TAKE(DELETE), REPLY(REFUSED), STATE(LEAVING), DUE(800, 5000),
	     AFTER(1800000), TAKE(DELETE), REPLY(FAILED), STATE(GONE));
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(OK), LEAVE, TAKE_WHEN_DUE(DELETE), REPLY(LOST),
	     TAKE_WHEN_DUE(DELETE), REPLY(LOST), TAKE_WHEN_DUE(DELETE), REPLY(LOST),
	     TAKE_WHEN_DUE(DELETE), REPLY(LOST), TAKE_WHEN_DUE(DELETE), REPLY(LOST),
	     TAKE_WHEN_DUE(DELETE), REPLY(LOST), TAKE_WHEN_DUE(DELETE), REPLY(LOST),
	     TAKE_WHEN_DUE(DELETE), REPLY(LOST), TAKE_WHEN_DUE(DELETE), REPLY(LOST),
	     TAKE_WHEN_DUE(DELETE), REPLY(LOST), TAKE_WHEN_DUE(DELETE), REPLY(LOST),
	     DUE(54000, 60000), TAKE_WHEN_DUE(DELETE), REPLY(OK), STATE(GONE));
	PLAY(ADOPT_PERSISTENT(1, 1, true, 0), TAKE(DELETE), REPLY(FAILED), AFTER(36000),
	     TAKE(DELETE), REPLY(FAILED), STATE(LEAVING));
}

Test(machine, a_forgotten_instance_is_left_as_it_is)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(OK), FORGET, STATE(GONE), DUE_NEVER, ACKED(0));
	PLAY(FORGET, STATE(GONE), DUE_NEVER);
	PLAY(WANT_PERSISTENT(1), FORGET, STATE(GONE), DUE_NEVER, WANT_PERSISTENT(2), TAKE(POST));
}

Test(machine, a_forgotten_instance_waits_for_the_request_in_flight)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), FORGET, STATE(LEAVING), DUE_NEVER, REPLY(OK),
	     STATE(GONE), DUE_NEVER);
	PLAY(WANT_PERSISTENT(1), TAKE(POST), FORGET, REPLY(LOST), STATE(GONE), DUE_NEVER);
	PLAY(WANT_PERSISTENT(1), TAKE(POST), FORGET, REPLY(AGAIN), STATE(GONE), DUE_NEVER);
}

Test(machine, a_forgotten_instance_may_be_wanted_again_or_made_to_leave)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), FORGET, WANT_PERSISTENT(2), STATE(REGISTERING),
	     DUE_NEVER, REPLY(OK), DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP), ACKED(2));
	PLAY(WANT_PERSISTENT(1), TAKE(POST), FORGET, LEAVE, STATE(LEAVING), DUE_NEVER, REPLY(OK),
	     DUE_NOW, TAKE(DELETE), REPLY(OK), STATE(GONE));
}

Test(machine, a_delete_goes_on_when_its_process_dies)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(OK), LEAVE, FORGET, STATE(LEAVING), DUE_NOW,
	     TAKE(DELETE), FORGET, REPLY(FAILED), DUE(800, 1200), TAKE_WHEN_DUE(DELETE), REPLY(OK),
	     STATE(GONE));
}

/* Turns */

Test(machine, registering_again_waits_for_its_turn)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), PACE(AT_ONCE), REPLY(UNKNOWN), PACE(PACE_POST),
	     HOLD(7000), DUE(7000, 7000), TAKE(NONE), AFTER(6999), TAKE(NONE), PACE(AT_ONCE),
	     AFTER(1), PACE(AT_ONCE), TAKE(POST), REPLY(FAILED), DUE(800, 1200), AFTER(1200),
	     PACE(PACE_POST), HOLD(0), TAKE(POST), REPLY(OK), STATE(UP), TAKE_WHEN_DUE(BEAT),
	     REPLY(OK));
}

Test(machine, what_is_wanted_for_the_first_time_or_changed_does_not_wait)
{
	PLAY(WANT(1), PACE(AT_ONCE), TAKE(POST), REPLY(FAILED), AFTER(1200), PACE(AT_ONCE),
	     TAKE(POST), REPLY(OK), WANT(2), PACE(AT_ONCE), TAKE(POST), REPLY(REFUSED),
	     AFTER(66000), PACE(AT_ONCE), TAKE(POST));
}

Test(machine, a_change_of_what_the_registry_lost_waits_with_it)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), HOLD(7000), WANT(2), DUE(7000, 7000),
	     TAKE_WHEN_DUE(POST), REPLY(OK), STATE(UP), ACKED(2));
}

Test(machine, leaving_does_not_wait)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), HOLD(7000), LEAVE, DUE_NOW,
	     PACE(AT_ONCE), TAKE(DELETE));
	PLAY(UP_IN(1), AFTER(60000), PACE(PACE_BEAT), HOLD(3000), LEAVE, DUE_NOW, TAKE(DELETE));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), HOLD(7000), FORGET, STATE(GONE));
}

/* The machine slept, and all that had a turn would go at once. */
Test(machine, a_turn_missed_by_more_than_a_second_is_void)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), HOLD(7000), AFTER(8000), PACE(AT_ONCE),
	     AFTER(1), PACE(PACE_POST), HOLD(500), DUE(500, 500), TAKE_WHEN_DUE(POST));
}

/* 2.7 race 7: at once, but not all in one moment; and the phases stay spread. */
Test(machine, a_beat_that_was_slept_through_waits_for_its_turn_and_keeps_its_phase)
{
	PLAY(UP_IN(1), AFTER(5000), PACE(AT_ONCE), AFTER(4999), TAKE(BEAT), REPLY(OK));
	PLAY(UP_IN(1), AFTER(60000), PACE(PACE_BEAT), HOLD(1000), TAKE_WHEN_DUE(BEAT), REPLY(OK),
	     DUE(3500, 4000), TAKE_WHEN_DUE(BEAT), REPLY(OK), DUE(5000, 5000));
	PLAY(UP_IN(1), AFTER(60000), HOLD(3000), WANT(2), DUE_NOW, PACE(AT_ONCE), TAKE(POST));
}

Test(machine, phases_are_spread_anew_after_an_outage)
{
	uint32_t n_in_slice[5] = { 0 };

	for (uint32_t seed = 0; seed < 1000; seed++) {
		uint64_t now_ms = SCRIPT_START_MS;
		struct machine m;
		uint32_t serial;

		machine_init(&m, seed);
		machine_want(&m, 1, SCRIPT_PERIOD_MS, MACHINE_LIGHT, now_ms);
		machine_take(&m, now_ms, &serial);
		machine_reply(&m, serial, MACHINE_OK, 0, now_ms);
		now_ms += SCRIPT_PERIOD_MS;
		machine_take(&m, now_ms, &serial);
		machine_reply(&m, serial, MACHINE_LOST, 0, now_ms);
		now_ms += 2000;
		cr_assert_eq(machine_take(&m, now_ms, &serial), MACHINE_BEAT);
		machine_reply(&m, serial, MACHINE_OK, 0, now_ms);
		n_in_slice[(machine_due_ms(&m) - now_ms - 2500) / 501]++;
	}
	for (int i = 0; i < 5; i++)
		cr_assert(n_in_slice[i] > 120 && n_in_slice[i] < 280, "slice %d has %u of 1000", i,
			  n_in_slice[i]);
}

/* Asked in the other way */

Test(machine, what_is_to_be_sent_again_is_due_at_once_and_nothing_else_changes)
{
	PLAY(WANT(1), TAKE(POST), REPLY(AGAIN), STATE(REGISTERING), DUE_NOW, PACE(AT_ONCE),
	     TAKE(POST), REPLY(FAILED), DUE(800, 1200));
	PLAY(UP_IN(1), AFTER(5000), TAKE(BEAT), AFTER(300), REPLY(AGAIN), STATE(UP), DUE_NOW,
	     TAKE(BEAT), AFTER(100), REPLY(OK), DUE(4100, 4600));
	PLAY(UP_IN(1), LEAVE, TAKE(DELETE), REPLY(AGAIN), STATE(LEAVING), DUE_NOW, TAKE(DELETE),
	     REPLY(OK), STATE(GONE));
	PLAY(UP_IN(1), LEAVE, TAKE(DELETE), WANT(2), REPLY(AGAIN), DUE_NOW, TAKE(POST));
	PLAY(WANT(1), TAKE(POST), LEAVE, REPLY(AGAIN), DUE_NOW, TAKE(DELETE));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), LEAVE, REPLY(AGAIN), STATE(LEAVING), DUE_NOW,
	     TAKE(DELETE));
}

Test(machine, what_had_its_turn_needs_no_other_to_be_sent_again)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), HOLD(3000), TAKE_WHEN_DUE(POST),
	     REPLY(AGAIN), PACE(AT_ONCE), TAKE(POST), REPLY(FAILED), AFTER(1200), PACE(PACE_POST));
	PLAY(UP_IN(1), AFTER(60000), HOLD(3000), TAKE_WHEN_DUE(BEAT), REPLY(AGAIN), PACE(AT_ONCE),
	     TAKE(BEAT));
}
