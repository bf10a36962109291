/* SPDX-License-Identifier: Apache-2.0 */
/* The instance state machine: leaving, being wanted again, being adopted after a restart. */
#include <criterion/criterion.h>

#include "lib/machine_script.h"

/* Leaving */

Test(machine, an_instance_that_was_never_posted_is_gone_at_once)
{
	PLAY(LEAVE, STATE(GONE), DUE_NEVER);
	PLAY(WANT(1), LEAVE, STATE(GONE), DUE_NEVER, AFTER(1000), TAKE(NONE));
}

Test(machine, leaving_deletes_at_once_and_is_gone_with_the_answer)
{
	PLAY(UP_IN(1), LEAVE, STATE(LEAVING), DUE_NOW, TAKE(DELETE), STATE(LEAVING), REPLY(OK),
	     STATE(GONE), DUE_NEVER, ACKED(0));
	PLAY(UP_IN(1), LEAVE, LEAVE, TAKE(DELETE), LEAVE, REPLY(OK), LEAVE, STATE(GONE), DUE_NEVER);
	PLAY(UP_IN(1), LEAVE, TAKE(DELETE), REPLY(UNKNOWN), STATE(GONE));
}

/* 2.7 race 3 */
Test(machine, an_attempted_post_is_deleted_acknowledged_or_not)
{
	PLAY(WANT(1), TAKE(POST), REPLY(FAILED), LEAVE, STATE(LEAVING), DUE_NOW, TAKE(DELETE),
	     REPLY(OK), STATE(GONE));
	PLAY(WANT(1), TAKE(POST), REPLY(REFUSED), LEAVE, DUE_NOW, TAKE(DELETE), REPLY(OK),
	     STATE(GONE));
}

Test(machine, a_delete_waits_for_the_post_in_flight)
{
	PLAY(WANT(1), TAKE(POST), LEAVE, STATE(LEAVING), DUE_NEVER, AFTER(3000), TAKE(NONE),
	     REPLY(OK), STATE(LEAVING), DUE_NOW, TAKE(DELETE), REPLY(OK), STATE(GONE));
	PLAY(WANT(1), TAKE(POST), LEAVE, REPLY(FAILED), DUE_NOW, TAKE(DELETE));
	PLAY(WANT(1), TAKE(POST), LEAVE, REPLY(REFUSED), DUE_NOW, TAKE(DELETE));
}

/* 2.7 race 2 */
Test(machine, a_delete_overtakes_a_beat_in_flight_whose_reply_is_dropped)
{
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REMEMBER, LEAVE, DUE_NOW, TAKE(DELETE),
	     REPLY_STALE(UNKNOWN), STATE(LEAVING), REPLY(OK), STATE(GONE), REPLY_STALE(UNKNOWN),
	     REPLY_STALE(OK), STATE(GONE));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), LEAVE, REPLY(UNKNOWN), STATE(LEAVING), DUE_NOW,
	     TAKE(DELETE));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), REMEMBER, LEAVE, TAKE(DELETE), REPLY(OK), WANT(2),
	     TAKE(POST), REPLY_STALE(UNKNOWN), REPLY(OK), STATE(UP), REPLY_STALE(UNKNOWN),
	     REPLY_STALE(LOST));
}

Test(machine, a_reply_is_taken_once)
{
	PLAY(UP_IN(1), REMEMBER, REPLY_STALE(UNKNOWN), REPLY_STALE(LOST), TAKE_WHEN_DUE(BEAT),
	     REPLY_STALE(UNKNOWN));
}

Test(machine, after_a_lost_post_the_delete_is_repeated_once_10_s_later)
{
	PLAY(WANT(1), TAKE(POST), LEAVE, REPLY(LOST), DUE_NOW, TAKE(DELETE), REPLY(OK),
	     STATE(LEAVING), DUE(10000, 10000), TAKE_WHEN_DUE(DELETE), REPLY(OK), STATE(GONE),
	     DUE_NEVER);
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), TAKE_WHEN_DUE(POST), REPLY(OK), LEAVE, TAKE(DELETE),
	     REPLY(FAILED), TAKE_WHEN_DUE(DELETE), REPLY(OK), STATE(LEAVING), DUE(10000, 10000));
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), LEAVE, TAKE(DELETE), REPLY(FAILED),
	     TAKE_WHEN_DUE(DELETE), REPLY(FAILED), TAKE_WHEN_DUE(DELETE), REPLY(OK),
	     TAKE_WHEN_DUE(DELETE), REPLY(FAILED), DUE(800, 1200), TAKE_WHEN_DUE(DELETE), REPLY(OK),
	     STATE(GONE));
}

Test(machine, a_failing_delete_backs_off_and_is_given_up_35_s_after_leaving)
{
	PLAY(UP_IN(1), LEAVE, TAKE(DELETE), REPLY(FAILED), STATE(LEAVING), DUE(800, 1200),
	     TAKE_WHEN_DUE(DELETE), REPLY(LOST), DUE(1600, 2400), TAKE_WHEN_DUE(DELETE),
	     REPLY(REFUSED), DUE(3200, 4800), TAKE_WHEN_DUE(DELETE), REPLY(FAILED), DUE(4000, 5000),
	     STATE(LEAVING));
	PLAY(UP_IN(1), LEAVE, AFTER(34999), TAKE(DELETE), REPLY(FAILED), STATE(LEAVING), DUE(1, 1),
	     TAKE_WHEN_DUE(DELETE), REPLY(FAILED), STATE(GONE), DUE_NEVER);
	PLAY(UP_IN(1), LEAVE, AFTER(3600000), TAKE(DELETE), REPLY(LOST), STATE(GONE));
	PLAY(WANT(1), TAKE(POST), REPLY(FAILED), TAKE_WHEN_DUE(POST), REPLY(FAILED), LEAVE,
	     TAKE(DELETE), REPLY(FAILED), DUE(800, 1200));
	PLAY(UP_IN(1), LEAVE, TAKE(DELETE), REPLY(FAILED), LEAVE, DUE(800, 1200), AFTER(34000),
	     LEAVE, TAKE(DELETE), AFTER(1000), REPLY(FAILED), STATE(GONE));
}

/* Wanted again */

Test(machine, wanting_again_before_the_delete_was_sent_cancels_it)
{
	PLAY(UP_IN(1), LEAVE, WANT(1), STATE(UP), DUE_NOW, TAKE(BEAT), REPLY(OK), DUE(5000, 5000));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), LEAVE, WANT(1), STATE(UP), DUE_NEVER, REPLY(OK),
	     STATE(UP), DUE(5000, 5000));
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(OK), LEAVE, WANT_PERSISTENT(1), STATE(UP),
	     DUE_SELDOM);
	PLAY(WANT(1), TAKE(POST), LEAVE, WANT(1), STATE(REGISTERING), DUE_NEVER, REPLY(OK),
	     STATE(UP), DUE(4500, 5000));
}

Test(machine, wanting_another_version_before_the_delete_was_sent_posts_it)
{
	PLAY(UP_IN(1), LEAVE, WANT(2), STATE(REGISTERING), DUE_NOW, TAKE(POST), REPLY(OK),
	     STATE(UP));
	PLAY(WANT(1), TAKE(POST), LEAVE, WANT(2), REPLY(OK), DUE_NOW, TAKE(POST), REPLY(OK),
	     STATE(UP), ACKED(2));
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), LEAVE, WANT(1), STATE(REGISTERING), DUE_NOW,
	     TAKE(POST));
	PLAY(UP_IN(1), TAKE_WHEN_DUE(BEAT), LEAVE, REPLY(UNKNOWN), WANT(1), STATE(REGISTERING),
	     TAKE(POST));
	PLAY(UP_IN(1), WANT(2), TAKE(POST), REPLY(FAILED), LEAVE, WANT(1), STATE(REGISTERING),
	     DUE_NOW, TAKE(POST));
}

Test(machine, wanting_again_during_the_delete_posts_behind_it)
{
	const struct machine_script_step replies[] = { REPLY(OK), REPLY(FAILED), REPLY(LOST),
						       REPLY(REFUSED) };

	for (unsigned int i = 0; i < 4; i++)
		PLAY(UP_IN(1), LEAVE, TAKE(DELETE), WANT(1), STATE(REGISTERING), DUE_NEVER,
		     replies[i], STATE(REGISTERING), DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP),
		     ACKED(1));
}

Test(machine, wanting_again_between_two_deletes_posts_at_once)
{
	PLAY(UP_IN(1), LEAVE, TAKE(DELETE), REPLY(FAILED), WANT(1), STATE(REGISTERING), DUE_NOW,
	     TAKE(POST), REPLY(OK), STATE(UP));
	PLAY(WANT(1), TAKE(POST), REPLY(LOST), LEAVE, TAKE(DELETE), REPLY(OK), WANT(1), DUE_NOW,
	     TAKE(POST));
}

Test(machine, wanted_again_and_left_again_during_the_delete_ends_with_its_answer)
{
	PLAY(UP_IN(1), LEAVE, TAKE(DELETE), WANT(2), LEAVE, STATE(LEAVING), DUE_NEVER, REPLY(OK),
	     STATE(GONE));
}

Test(machine, an_instance_that_is_gone_starts_afresh)
{
	PLAY(UP_IN(3), LEAVE, TAKE(DELETE), REPLY(OK), WANT(1), STATE(REGISTERING), DUE_NOW, LEAVE,
	     STATE(GONE), WANT(1), TAKE(POST), REPLY(OK), STATE(UP), ACKED(1));
	PLAY(WANT_PERSISTENT(1), TAKE(POST), REPLY(LOST), LEAVE, TAKE(DELETE), REPLY(OK),
	     TAKE_WHEN_DUE(DELETE), REPLY(OK), STATE(GONE), WANT_PERSISTENT(2), TAKE(POST),
	     REPLY(OK), STATE(UP), DUE_SELDOM, LEAVE, TAKE(DELETE), REPLY(OK), STATE(GONE));
}

/* Adopting */

Test(machine, an_adopted_acknowledged_instance_is_beaten_within_the_spread_and_not_posted)
{
	PLAY(ADOPT(1, 1, false, 1), STATE(UP), ACKED(1), DUE(0, 3000), TAKE_WHEN_DUE(BEAT),
	     REPLY(OK), STATE(UP), DUE(5000, 5000));
}

/* No beat is late because of the restart, and those to come stay spread as they were. */
Test(machine, an_adopted_instance_keeps_the_time_of_its_next_beat)
{
	PLAY(DUE_AHEAD(1234), ADOPT(1, 1, false, 1), STATE(UP), DUE(1234, 1234),
	     TAKE_WHEN_DUE(BEAT), REPLY(OK), DUE(5000, 5000));
	PLAY(DUE_AGO(700), ADOPT(1, 1, false, 1), DUE_NOW, TAKE(BEAT), REPLY(OK), DUE(4300, 4300));
	PLAY(DUE_AGO(60000), ADOPT(1, 1, false, 1), DUE_NOW, TAKE(BEAT), REPLY(OK),
	     DUE(5000, 5000));
	/* A time further off than any beat was is not believed. */
	PLAY(DUE_AHEAD(3001), ADOPT(1, 1, false, 1), DUE(0, 3000), TAKE_WHEN_DUE(BEAT));
	/* It says nothing of instances that have no beat to come. */
	PLAY(DUE_AHEAD(1234), ADOPT(2, 0, true, 2), STATE(REGISTERING), DUE_NOW, TAKE(POST));
	PLAY(DUE_AHEAD(1234), ADOPT_PERSISTENT(1, 1, false, 1), STATE(UP), DUE_SELDOM);
}

Test(machine, an_adopted_unanswered_update_is_posted)
{
	PLAY(ADOPT(2, 1, false, 2), STATE(REGISTERING), DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP),
	     ACKED(2));
	PLAY(ADOPT(1, 1, false, 2), STATE(REGISTERING), DUE_NOW, TAKE(POST), REPLY(REFUSED),
	     STATE(REJECTED), DUE(0, 3000), TAKE_WHEN_DUE(BEAT));
}

Test(machine, an_adopted_unanswered_first_post_is_decided_by_a_light_beat)
{
	PLAY(ADOPT(1, 0, false, 1), STATE(REGISTERING), DUE_NOW, TAKE(BEAT), REPLY(OK), STATE(UP),
	     ACKED(1), DUE(5000, 5000));
	PLAY(ADOPT(1, 0, false, 1), TAKE(BEAT), REPLY(UNKNOWN), STATE(REGISTERING), DUE_NOW,
	     TAKE(POST), REPLY(OK), STATE(UP), ACKED(1));
	PLAY(ADOPT(1, 0, false, 1), TAKE(BEAT), REPLY(LOST), STATE(REGISTERING), DUE(1000, 2000),
	     TAKE_WHEN_DUE(BEAT), REPLY(FAILED), DUE(1000, 2000), TAKE_WHEN_DUE(BEAT), REPLY(OK),
	     STATE(UP));
	PLAY(ADOPT(1, 0, false, 1), TAKE(BEAT), REPLY(OK), LEAVE, WANT(1), TAKE(POST),
	     REPLY(FAILED), DUE_NOW, TAKE(BEAT));
	PLAY(ADOPT(1, 0, false, 1), TAKE(BEAT), REPLY(OK), WANT(2), TAKE(POST), AFTER(5000),
	     REPLY(FAILED), DUE_NOW, TAKE(BEAT));
}

Test(machine, a_version_wanted_during_the_deciding_beat_is_posted_behind_it)
{
	PLAY(ADOPT(1, 0, false, 1), TAKE(BEAT), WANT(2), REPLY(OK), ACKED(1), STATE(REGISTERING),
	     DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP), ACKED(2));
	PLAY(ADOPT(1, 0, false, 1), WANT(2), DUE_NOW, TAKE(POST), REPLY(FAILED), DUE(800, 1200),
	     TAKE_WHEN_DUE(POST));
	PLAY(ADOPT(1, 0, false, 2), STATE(REGISTERING), DUE_NOW, TAKE(POST));
}

Test(machine, an_adopted_persistent_instance_is_posted_unless_acknowledged)
{
	PLAY(ADOPT_PERSISTENT(1, 0, false, 1), DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP),
	     DUE_SELDOM);
	PLAY(ADOPT_PERSISTENT(1, 1, false, 1), STATE(UP), DUE_SELDOM);
}

Test(machine, adopting_what_was_never_posted_is_wanting_it)
{
	PLAY(ADOPT(0, 0, false, 1), STATE(REGISTERING), DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP));
}

Test(machine, an_adopted_instance_that_died_meanwhile_is_deleted)
{
	PLAY(ADOPT(1, 1, false, 0), STATE(LEAVING), DUE_NOW, TAKE(DELETE), REPLY(OK), STATE(GONE));
	PLAY(ADOPT(0, 0, false, 0), STATE(GONE), DUE_NEVER);
}

Test(machine, an_adopted_unanswered_post_of_a_dead_instance_is_deleted_twice)
{
	PLAY(ADOPT(1, 0, false, 0), STATE(LEAVING), DUE_NOW, TAKE(DELETE), REPLY(OK),
	     STATE(LEAVING), DUE(10000, 10000), TAKE_WHEN_DUE(DELETE), REPLY(OK), STATE(GONE));
}

Test(machine, an_adopted_delete_is_sent_again_and_a_wanted_instance_posted_behind_it)
{
	PLAY(ADOPT(1, 1, true, 0), STATE(LEAVING), DUE_NOW, TAKE(DELETE), REPLY(OK), STATE(GONE));
	PLAY(ADOPT(1, 1, true, 1), STATE(REGISTERING), DUE_NOW, TAKE(POST), REPLY(OK), STATE(UP));
}

Test(machine, an_adopted_instance_may_leave_before_anything_was_asked)
{
	PLAY(ADOPT(1, 1, false, 1), LEAVE, STATE(LEAVING), DUE_NOW, TAKE(DELETE), REPLY(OK),
	     STATE(GONE));
	PLAY(ADOPT(1, 0, false, 1), TAKE(BEAT), REMEMBER, LEAVE, DUE_NOW, TAKE(DELETE),
	     REPLY_STALE(OK), REPLY(OK), STATE(LEAVING), TAKE_WHEN_DUE(DELETE), REPLY(OK),
	     STATE(GONE));
}
