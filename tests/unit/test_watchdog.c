/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager's watchdog: who is asked, who is told, and when an agent counts as hung. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/watchdog.h"

#define AGENT 17
#define ROUND_MS 1000u

static struct watchdog with_period(const char *usec, const char *pid)
{
	struct watchdog w;

	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	watchdog_init(&w);
	return w;
}

static struct watchdog started(void)
{
	struct watchdog w = with_period("2000000", NULL);

	watchdog_start(&w, 0);
	return w;
}

/* The next round, answered at once or not. */
static unsigned int next(struct watchdog *w, pid_t agent, bool answered)
{
	unsigned int act = watchdog_round(w, agent, true, w->due_ms);

	if (answered)
		watchdog_answered(w, w->asked);
	return act;
}

Test(watchdog, only_when_it_is_ours)
{
	char pid[16];
	struct watchdog w = with_period("2000000", NULL);

	cr_assert_eq(w.half_ms, ROUND_MS);
	cr_assert_eq(w.due_ms, CLOCK_NEVER, "not before we are ready");
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	cr_assert_eq(with_period("2000000", pid).half_ms, ROUND_MS);
	cr_assert_eq(with_period("2000000", "1").half_ms, 0, "another process's");
	cr_assert_eq(with_period("2000000x", NULL).half_ms, 0);
	cr_assert_eq(with_period("-1", NULL).half_ms, 0);
	w = with_period("0", NULL);
	watchdog_start(&w, 5);
	cr_assert_eq(w.due_ms, CLOCK_NEVER);
}

Test(watchdog, tells_twice_in_its_time_while_the_agent_answers)
{
	struct watchdog w = started();

	for (uint64_t i = 0; i < 10; i++) {
		cr_assert_eq(w.due_ms, i * ROUND_MS);
		cr_assert_eq(next(&w, AGENT, true), WATCHDOG_PET | WATCHDOG_ASK);
	}
}

/* One round without an answer: killed, and nobody needs to know. */
Test(watchdog, has_a_silent_agent_replaced)
{
	struct watchdog w = started();

	cr_assert_eq(next(&w, AGENT, false), WATCHDOG_PET | WATCHDOG_ASK);
	cr_assert_eq(next(&w, AGENT, false), WATCHDOG_PET | WATCHDOG_KILL);
	cr_assert_eq(next(&w, AGENT + 1, true), WATCHDOG_PET | WATCHDOG_ASK);
	cr_assert_eq(next(&w, AGENT + 1, true), WATCHDOG_PET | WATCHDOG_ASK);
	cr_assert_eq(w.n_unwell, 0);
}

/* An answer to an earlier question says nothing of now. */
Test(watchdog, knows_an_old_answer)
{
	struct watchdog w = started();

	next(&w, AGENT, true);
	next(&w, AGENT, false);
	watchdog_answered(&w, w.asked - 1);
	cr_assert_eq(next(&w, AGENT, false), WATCHDOG_PET | WATCHDOG_KILL);
}

Test(watchdog, does_not_blame_a_new_agent_for_an_old_ones_silence)
{
	struct watchdog w = started();

	next(&w, AGENT, false);
	cr_assert_eq(next(&w, AGENT + 1, false), WATCHDOG_PET | WATCHDOG_ASK);
}

Test(watchdog, leaves_a_host_without_a_working_agent_to_the_manager)
{
	struct watchdog w = started();

	cr_assert_eq(next(&w, 0, false), WATCHDOG_PET);
	cr_assert_eq(next(&w, 0, false), WATCHDOG_PET);
	cr_assert_eq(next(&w, 0, false), WATCHDOG_TELL);
	cr_assert_eq(next(&w, 0, false), 0);
	cr_assert_eq(next(&w, AGENT, true), WATCHDOG_ASK, "ready, but that is all");
	cr_assert_eq(next(&w, AGENT, true), WATCHDOG_PET | WATCHDOG_ASK);
}

/* Agents that hang one after the other, each ready at first, do not keep the manager quiet for ever. */
Test(watchdog, sees_through_agents_that_only_become_ready)
{
	struct watchdog w = started();
	unsigned int last = 0;

	for (pid_t agent = AGENT; agent < AGENT + 5; agent++) {
		last = next(&w, agent, false);
		last |= next(&w, agent, false);
	}
	cr_assert_eq(last, WATCHDOG_ASK | WATCHDOG_KILL);
}

/* One of an earlier release does not know the question: that it lives has to do. */
Test(watchdog, does_not_ask_who_cannot_answer)
{
	struct watchdog w = started();

	for (int i = 0; i < 5; i++)
		cr_assert_eq(watchdog_round(&w, AGENT, false, w.due_ms), WATCHDOG_PET);
}
