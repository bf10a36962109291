/* SPDX-License-Identifier: Apache-2.0 */
/* The instance state machine: registering, beating, updating, being refused. */
#include <criterion/criterion.h>

#include "lib/machine_script.h"

/* Registering and beating */

Test(machine, nothing_is_due_before_anything_is_wanted)
{
	PLAY(STATE(ABSENT), DUE_NEVER, AFTER(1000000), TAKE(NONE));
}

Test(machine, wanting_an_absent_instance_posts_at_once)
{
	PLAY(WANT(1), STATE(REGISTERING), DUE_NOW, TAKE(POST), STATE(REGISTERING));
}

Test(machine, nothing_is_due_while_a_request_is_unanswered)
{
	PLAY(WANT(1), TAKE(POST), DUE_NEVER, AFTER(60000), TAKE(NONE));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), DUE_NEVER, AFTER(60000), TAKE(NONE));
	PLAY(UP_IN(1), LEAVE, TAKE(DELETE), DUE_NEVER, AFTER(60000), TAKE(NONE));
}

Test(machine, first_beat_falls_due_in_90_to_100_percent_of_the_period_after_the_answer)
{
	PLAY(WANT(1), TAKE(POST), AFTER(800), REPLY(OK), STATE(UP), ACKED(1), DUE(4500, 5000),
	     TAKE_WHEN_DUE(BEAT));
}

Test(machine, phases_of_instances_that_registered_together_are_spread)
{
	uint32_t n_in_slice[5] = { 0 };

	for (uint32_t seed = 0; seed < 1000; seed++) {
		struct machine m;
		uint32_t serial;

		machine_init(&m, seed);
		machine_want(&m, 1, SCRIPT_PERIOD_MS, true, SCRIPT_START_MS);
		machine_take(&m, SCRIPT_START_MS, &serial);
		machine_reply(&m, serial, MACHINE_OK, 0, SCRIPT_START_MS);
		n_in_slice[(machine_due_ms(&m) - SCRIPT_START_MS - 4500) / 101]++;
	}
	for (int i = 0; i < 5; i++)
		cr_assert(n_in_slice[i] > 120 && n_in_slice[i] < 280, "slice %d has %u of 1000", i,
			  n_in_slice[i]);
}

Test(machine, beats_keep_their_phase_however_late_they_are_sent_and_answered)
{
	PLAY(UP_IN(1), AFTER(5000), TAKE(BEAT), AFTER(300), REPLY(OK), DUE(4200, 4700), AFTER(4900),
	     TAKE(BEAT), AFTER(100), REPLY(OK), STATE(UP), DUE(4200, 4700));
}

Test(machine, the_registrys_interval_is_followed)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 2000), DUE(2000, 2000),
	     TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 9000), DUE(9000, 9000));
}

Test(machine, an_interval_of_zero_means_the_own_period)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 2000), TAKE_WHEN_DUE(BEAT),
	     REPLY_INTERVAL(OK, 0), DUE(5000, 5000));
}

Test(machine, an_interval_out_of_bounds_means_the_own_period)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 499), DUE(5000, 5000));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 500), DUE(500, 500));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 120000), DUE(120000, 120000));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 120001), DUE(5000, 5000));
}

Test(machine, a_new_definitions_period_replaces_the_interval_of_the_old_one)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 2000), WANT_EVERY(2, 10000),
	     TAKE(POST), REPLY(OK), DUE(9000, 10000), TAKE_WHEN_DUE(BEAT), REPLY(OK),
	     DUE(10000, 10000));
}

Test(machine, a_beat_answered_after_the_next_was_due_is_followed_at_once)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 1000), TAKE_WHEN_DUE(BEAT),
	     AFTER(3000), REPLY_INTERVAL(OK, 1000), DUE_NOW);
}

/* 2.7 race 7: beat at once on waking; one beat, not one for every period that was slept through. */
Test(machine, after_a_pause_one_beat_is_due_at_once_and_the_next_a_period_later)
{
	PLAY(UP_IN(1), AFTER(3600000), TAKE(BEAT), REPLY(OK), DUE(4500, 5000), AFTER(5000),
	     TAKE(BEAT), REPLY(OK), DUE(4500, 5000));
}

Test(machine, a_beat_that_gets_no_good_answer_is_tried_again_in_1_to_2_s_for_ever)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(LOST), STATE(UP), DUE(1000, 2000),
	     TAKE_WHEN_DUE(BEAT), REPLY(FAILED), STATE(UP), DUE(1000, 2000), TAKE_WHEN_DUE(BEAT),
	     REPLY(REFUSED), STATE(UP), DUE(1000, 2000), TAKE_WHEN_DUE(BEAT), REPLY(FAILED),
	     TAKE_WHEN_DUE(BEAT), REPLY(FAILED), TAKE_WHEN_DUE(BEAT), REPLY(FAILED), STATE(UP),
	     DUE(1000, 2000), TAKE_WHEN_DUE(BEAT), REPLY(OK), STATE(UP), DUE(2500, 5000),
	     TAKE_WHEN_DUE(BEAT), REPLY(OK), DUE(5000, 5000));
}

/* 2.7 races 1, 5 and 6; the sender paces the herd. */
Test(machine, a_beat_of_an_unknown_instance_posts_again_at_once)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), STATE(REGISTERING), DUE_NOW, TAKE(POST),
	     REPLY(OK), STATE(UP), DUE(4500, 5000), TAKE_WHEN_DUE(BEAT));
}

Test(machine, a_persistent_instance_is_posted_and_never_beaten)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(OK), STATE(UP), DUE_SELDOM, WANT_PERSISTENT(2),
	     DUE_NOW, TAKE(POST), REPLY(OK), DUE_SELDOM, LEAVE, TAKE(DELETE), REPLY(OK),
	     STATE(GONE));
}

/* Posting again */

Test(machine, a_failing_post_backs_off_to_5_s_and_never_gives_up)
{
	PLAY(WANT(1), TAKE(POST), REPLY(FAILED), STATE(REGISTERING), DUE(800, 1200),
	     TAKE_WHEN_DUE(POST), REPLY(LOST), DUE(1600, 2400), TAKE_WHEN_DUE(POST), REPLY(LOST),
	     DUE(3200, 4800), TAKE_WHEN_DUE(POST), REPLY(FAILED), DUE(4000, 5000),
	     TAKE_WHEN_DUE(POST), REPLY(LOST), DUE(4000, 5000), TAKE_WHEN_DUE(POST), REPLY(UNKNOWN),
	     DUE(4000, 5000), STATE(REGISTERING), TAKE_WHEN_DUE(POST), REPLY(OK), STATE(UP));
}

Test(machine, an_answer_starts_the_back_off_anew)
{
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), TAKE_WHEN_DUE(POST), REPLY(LOST),
	     TAKE_WHEN_DUE(POST), REPLY(OK), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), TAKE(POST),
	     REPLY(FAILED), DUE(800, 1200));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(LOST), TAKE_WHEN_DUE(BEAT), REPLY(LOST),
	     TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), TAKE(POST), REPLY(FAILED), DUE(800, 1200));
}

Test(machine, a_new_version_is_posted_at_once)
{
	PLAY(UP_IN(1), AFTER(1000), WANT(2), STATE(REGISTERING), DUE_NOW, TAKE(POST), REPLY(OK),
	     STATE(UP), ACKED(2), DUE(4500, 5000));
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), WANT(2), DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP),
	     ACKED(2));
}

Test(machine, the_same_or_an_older_version_changes_nothing)
{
	PLAY(UP_IN(2), AFTER(1000), WANT(2), STATE(UP), DUE(3500, 4000), WANT(1), STATE(UP),
	     DUE(3500, 4000));
}

Test(machine, a_version_wanted_during_a_post_is_posted_behind_it)
{
	PLAY(WANT(1), TAKE(POST), WANT(2), DUE_NEVER, REPLY(OK), ACKED(1), STATE(REGISTERING),
	     DUE_NOW, TAKE(POST), REPLY(OK), ACKED(2), STATE(UP));
	PLAY(WANT(1), TAKE(POST), WANT(2), REPLY(REFUSED), REJECTED(1), STATE(REGISTERING), DUE_NOW,
	     TAKE(POST), REPLY(OK), STATE(UP));
}

Test(machine, a_version_wanted_during_a_beat_is_posted_behind_it)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), WANT(2), STATE(REGISTERING), DUE_NEVER, REPLY(OK),
	     DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP), ACKED(2));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), WANT(2), REPLY(LOST), DUE_NOW, TAKE(POST));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), WANT(2), REPLY(UNKNOWN), DUE_NOW, TAKE(POST));
}

Test(machine, a_registered_instance_is_beaten_while_its_update_fails)
{
	PLAY(UP_IN(1), AFTER(4900), WANT(2), TAKE(POST), AFTER(200), REPLY(FAILED),
	     STATE(REGISTERING), DUE(0, 0), TAKE(BEAT), REPLY(OK), STATE(REGISTERING),
	     TAKE_WHEN_DUE(POST), REPLY(OK), STATE(UP));
}

/* A late POST of an older version would stay in force. */
Test(machine, an_update_that_follows_a_lost_post_is_posted_once_more_after_10_s)
{
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), WANT_EVERY(2, 8000), TAKE(POST), REPLY(OK),
	     STATE(UP), AFTER(9999), TAKE(BEAT), REPLY(OK), DUE(1, 1), TAKE_WHEN_DUE(POST),
	     STATE(UP), REPLY(OK), STATE(UP), DUE(7200, 8000), AFTER(11000), TAKE(BEAT), REPLY(OK),
	     TAKE_WHEN_DUE(BEAT));
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(LOST), WANT_PERSISTENT(2), TAKE(POST), REPLY(OK),
	     DUE(10000, 10000), TAKE_WHEN_DUE(POST), REPLY(FAILED), STATE(UP), DUE(800, 1200),
	     TAKE_WHEN_DUE(POST), REPLY(OK), STATE(UP), DUE_SELDOM);
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), WANT(2), TAKE(POST), REPLY(OK), LEAVE, WANT(2),
	     STATE(REGISTERING), DUE_NOW, TAKE(POST));
}

Test(machine, an_older_one_of_two_lost_posts_counts)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(LOST), WANT_PERSISTENT(2), TAKE(POST),
	     REPLY(LOST), TAKE_WHEN_DUE(POST), REPLY(OK), STATE(UP), DUE(10000, 10000),
	     TAKE_WHEN_DUE(POST), REPLY(OK), STATE(UP), DUE_SELDOM);
}

Test(machine, the_same_version_after_a_lost_post_is_not_posted_again)
{
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(LOST), TAKE_WHEN_DUE(POST), REPLY(OK),
	     DUE_SELDOM);
}

Test(machine, a_post_lost_long_ago_is_forgotten)
{
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), TAKE_WHEN_DUE(POST), REPLY(OK), AFTER(60000),
	     WANT(2), TAKE(POST), REPLY(OK), DUE(4500, 5000), AFTER(11000), TAKE(BEAT), REPLY(OK),
	     LEAVE, TAKE(DELETE), REPLY(OK), STATE(GONE));
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(LOST), TAKE_WHEN_DUE(POST), REPLY(OK),
	     AFTER(60000), WANT_PERSISTENT(2), TAKE(POST), REPLY(LOST), TAKE_WHEN_DUE(POST),
	     REPLY(OK), DUE_SELDOM);
}

/* Refused */

Test(machine, a_refused_version_is_tried_again_slowly)
{
	PLAY(WANT(1), TAKE(POST), REPLY(REFUSED), STATE(REJECTED), REJECTED(1), DUE(60000, 66000),
	     TAKE_WHEN_DUE(POST), STATE(REJECTED), REPLY(REFUSED), STATE(REJECTED),
	     DUE(60000, 66000), TAKE_WHEN_DUE(POST), REPLY(LOST), STATE(REJECTED),
	     DUE(60000, 66000), TAKE_WHEN_DUE(POST), REPLY(OK), STATE(UP), ACKED(1), REJECTED(0));
}

Test(machine, a_new_version_of_a_refused_instance_is_posted_at_once)
{
	PLAY(WANT(1), TAKE(POST), REPLY(REFUSED), AFTER(10), WANT(2), STATE(REGISTERING), DUE_NOW,
	     TAKE(POST), REPLY(OK), STATE(UP), ACKED(2), REJECTED(1));
}

Test(machine, a_refused_update_leaves_the_acknowledged_version_beaten)
{
	PLAY(UP_IN(1), AFTER(2000), WANT(2), TAKE(POST), REPLY(REFUSED), STATE(REJECTED), ACKED(1),
	     REJECTED(2), DUE(2500, 3000), TAKE_WHEN_DUE(BEAT), REPLY(OK), STATE(REJECTED),
	     DUE(5000, 5000), TAKE_WHEN_DUE(BEAT), REPLY(FAILED), DUE(1000, 2000),
	     TAKE_WHEN_DUE(BEAT), REPLY(OK));
}

Test(machine, beats_and_the_slow_retry_of_a_refused_update_alternate)
{
	PLAY(UP_IN(1), WANT(2), TAKE(POST), REPLY(REFUSED), TAKE_WHEN_DUE(BEAT),
	     REPLY_INTERVAL(OK, 50000), TAKE_WHEN_DUE(BEAT), REPLY_INTERVAL(OK, 50000),
	     TAKE_WHEN_DUE(POST), REPLY(REFUSED), STATE(REJECTED), TAKE_WHEN_DUE(BEAT));
}

Test(machine, a_refused_update_of_an_instance_that_the_registry_lost_is_posted_at_once)
{
	PLAY(UP_IN(1), WANT(2), TAKE(POST), REPLY(REFUSED), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN),
	     DUE_NOW, TAKE(POST), REPLY(REFUSED), STATE(REJECTED), DUE(60000, 66000));
}

/* Members of a cluster that disagree answer 400 for a while. */
Test(machine, a_version_that_was_acknowledged_before_may_be_refused_for_30_s)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), TAKE(POST), REPLY(REFUSED),
	     STATE(REGISTERING), DUE(800, 1200), AFTER(29999), TAKE(POST), REPLY(REFUSED),
	     STATE(REGISTERING), DUE(1600, 2400), TAKE_WHEN_DUE(POST), REPLY(REFUSED),
	     STATE(REJECTED), REJECTED(1), DUE(60000, 66000), TAKE_WHEN_DUE(POST), REPLY(OK),
	     STATE(UP), REJECTED(0), TAKE_WHEN_DUE(BEAT), REPLY(UNKNOWN), TAKE(POST),
	     REPLY(REFUSED), STATE(REGISTERING));
}
