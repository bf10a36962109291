/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for the registry's word, and reading it: the agent's verdicts are given by hand. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/client_rig.h"
#include "lib/until.h"
#include "segment/status_line.h"

#define PORT 8080
#define BRIEF_MS 60

static struct client_rig rig;
static struct onebeat_instance *inst;
static uint32_t slot;

static void set_up(void)
{
	client_rig_init(&rig);
	client_rig_start(&rig);
	standin_agent_verdict(rig.agent, STANDIN_SILENT);
	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	slot = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE).slot;
}

static void tear_down(void)
{
	client_rig_deinit(&rig);
}

TestSuite(client_wait, .init = set_up, .fini = tear_down);

static void judge(enum onebeat_state state)
{
	/* The stand-in has to have seen the newest version first. */
	(void)standin_agent_counts(rig.agent);
	standin_agent_judge(rig.agent, slot, state, state == ONEBEAT_STATE_REFUSED ? 400 : 200,
			    state == ONEBEAT_STATE_REFUSED ? "because" : "");
}

Test(client_wait, time_that_is_over_is_a_timeout_and_not_sooner)
{
	uint64_t start_ms = clock_now_ms();

	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, BRIEF_MS), ONEBEAT_E_TIMEOUT);
	cr_assert_geq(clock_now_ms() - start_ms, BRIEF_MS - 2);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_REFUSED, 0), ONEBEAT_E_TIMEOUT);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_GONE, 0), ONEBEAT_E_TIMEOUT);
	cr_assert_eq(client_rig_report(inst).state, ONEBEAT_STATE_PENDING);
}

Test(client_wait, up_ends_a_wait_for_up_alone)
{
	judge(ONEBEAT_STATE_UP);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, 0), 0);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_REFUSED, 0), ONEBEAT_E_TIMEOUT);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_GONE, 0), ONEBEAT_E_TIMEOUT);
}

Test(client_wait, refusal_ends_both_waits_each_with_its_code)
{
	struct onebeat_report report;

	judge(ONEBEAT_STATE_REFUSED);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, -1), ONEBEAT_E_REFUSED);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_REFUSED, -1), 0);
	report = client_rig_report(inst);
	cr_assert_eq(report.state, ONEBEAT_STATE_REFUSED);
	cr_assert_eq(report.code, 400);
	cr_assert_eq(report.confirmed, 0);
	cr_assert_str_eq(report.text, "because");
}

Test(client_wait, down_that_was_asked_for_ends_a_wait_for_up)
{
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
	judge(ONEBEAT_STATE_DOWN);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, 0), 0);
	cr_assert_eq(client_rig_report(inst).state, ONEBEAT_STATE_DOWN);
	cr_assert_eq(client_rig_report(inst).confirmed, 1);
}

Test(client_wait, dropped_by_the_registry_is_gone)
{
	judge(ONEBEAT_STATE_GONE);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_GONE, -1), 0);
	cr_assert_eq(client_rig_report(inst).confirmed, 0);
}

Test(client_wait, confirmation_holds_for_the_version_that_it_was_given_for)
{
	judge(ONEBEAT_STATE_UP);
	cr_assert_eq(client_rig_report(inst).confirmed, 1);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
	cr_assert_eq(client_rig_report(inst).confirmed, 0);
	cr_assert_eq(client_rig_report(inst).state, ONEBEAT_STATE_UP, "what the agent said last");
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, BRIEF_MS), ONEBEAT_E_TIMEOUT);
	judge(ONEBEAT_STATE_DOWN);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, 0), 0);
}

Test(client_wait, refusal_of_an_older_version_does_not_refuse_the_newest)
{
	judge(ONEBEAT_STATE_REFUSED);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, BRIEF_MS), ONEBEAT_E_TIMEOUT);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_REFUSED, 0), ONEBEAT_E_TIMEOUT);
}

struct waiter {
	pthread_t thread;
	_Atomic pid_t tid;
	atomic_bool done;
	int state;
	int timeout_ms;
	int result;
	uint64_t end_ms;
};

static void *wait_in_thread(void *context)
{
	struct waiter *w = context;

	atomic_store(&w->tid, (pid_t)syscall(SYS_gettid));
	w->result = onebeat_wait(inst, w->state, w->timeout_ms);
	w->end_ms = clock_now_ms();
	atomic_store(&w->done, true);
	return NULL;
}

/* Does the thread sleep in this system call at present? */
static bool sleeps_in(pid_t tid, long number)
{
	char path[64], line[256];
	FILE *file;
	bool yes = false;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fgets(line, sizeof(line), file) && line[0] != 'r')
		yes = strtol(line, NULL, 10) == number;
	fclose(file);
	return yes;
}

static void start_waiting(struct waiter *w, int state)
{
	*w = (struct waiter){ .state = state, .timeout_ms = -1 };
	cr_assert_eq(pthread_create(&w->thread, NULL, wait_in_thread, w), 0);
	cr_assert(UNTIL(atomic_load(&w->tid) != 0 && sleeps_in(atomic_load(&w->tid), SYS_futex)));
}

static int end_waiting(struct waiter *w)
{
	cr_assert(UNTIL(atomic_load(&w->done)), "it sleeps on");
	pthread_join(w->thread, NULL);
	return w->result;
}

/* A waiter also looks by itself each second; half of that is enough for a wake-up on any machine. */
Test(client_wait, waiter_is_woken_by_the_word)
{
	uint64_t best_ms = UINT64_MAX;

	for (int i = 0; i < 5 && best_ms >= 500; i++) {
		struct waiter w;
		uint64_t start_ms;

		cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_UP), 0, "a new version");
		start_waiting(&w, ONEBEAT_STATE_UP);
		start_ms = clock_now_ms();
		judge(ONEBEAT_STATE_UP);
		cr_assert_eq(end_waiting(&w), 0);
		if (w.end_ms - start_ms < best_ms)
			best_ms = w.end_ms - start_ms;
	}
	cr_assert_lt(best_ms, 500);
}

Test(client_wait, other_calls_go_on_while_one_waits)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct waiter w;

	start_waiting(&w, ONEBEAT_STATE_UP);
	spec.weight = 2;
	cr_assert_eq(onebeat_update(inst, &spec), 0);
	cr_assert_eq(onebeat_attend(rig.ob), 0);
	client_rig_register(&rig, PORT + 1);
	onebeat_tick(inst);
	cr_assert_not(atomic_load(&w.done));
	judge(ONEBEAT_STATE_UP);
	cr_assert_eq(end_waiting(&w), 0);
}

Test(client_wait, deregistering_ends_another_threads_wait)
{
	struct waiter w;

	start_waiting(&w, ONEBEAT_STATE_UP);
	cr_assert_eq(onebeat_deregister(inst), 0);
	cr_assert_eq(end_waiting(&w), ONEBEAT_E_HANDLE);
}

Test(client_wait, waiter_comes_over_to_the_agent_that_comes_back)
{
	struct waiter w;

	start_waiting(&w, ONEBEAT_STATE_UP);
	client_rig_start(&rig);
	cr_assert_eq(end_waiting(&w), 0, "the new agent confirms");
}

Test(client_wait, no_agent_within_the_time_is_detached)
{
	client_rig_kill(&rig);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, BRIEF_MS), ONEBEAT_E_DETACHED);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, 0), ONEBEAT_E_DETACHED);
}

Test(client_wait, agent_that_comes_within_the_time_is_waited_for)
{
	struct waiter w = { .state = ONEBEAT_STATE_UP, .timeout_ms = -1 };

	client_rig_kill(&rig);
	cr_assert_eq(pthread_create(&w.thread, NULL, wait_in_thread, &w), 0);
	cr_assert(UNTIL(atomic_load(&w.tid) != 0));
	client_rig_start(&rig);
	cr_assert_eq(end_waiting(&w), 0);
}

Test(client_wait, age_is_that_of_the_last_acknowledged_beat)
{
	struct onebeat_status_line *line = memory_line(standin_agent_memory(rig.agent), slot);
	uint32_t age_ms;

	judge(ONEBEAT_STATE_UP);
	cr_assert_eq(client_rig_report(inst).beat_age_ms, UINT32_MAX, "none yet");
	status_line_beat(line, clock_now_ms() - 7000);
	age_ms = client_rig_report(inst).beat_age_ms;
	cr_assert_geq(age_ms, 7000);
	cr_assert_lt(age_ms, 7000 + UNTIL_MS);
}

Test(client_wait, state_lasts_since_it_was_reached)
{
	struct status_line line = { .state = ONEBEAT_STATE_UP,
				    .judged = 1,
				    .confirmed = 1,
				    .since_ms = (uint32_t)clock_now_ms() - 90000,
				    .holders = 3,
				    .ip = "192.0.2.9",
				    .text = "" };
	struct standin_agent_view view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	struct onebeat_report report;

	status_line_write(memory_line(standin_agent_memory(rig.agent), slot), view.generation,
			  &line);
	report = client_rig_report(inst);
	cr_assert_geq(report.since_ms, 90000);
	cr_assert_lt(report.since_ms, 90000 + UNTIL_MS);
	cr_assert_eq(report.holders, 3);
	cr_assert_str_eq(report.ip, "192.0.2.9");
}

/* Words of another grant of the slot say nothing of this instance. */
Test(client_wait, line_of_another_generation_is_not_believed)
{
	struct status_line line = {
		.state = ONEBEAT_STATE_UP, .judged = 1, .confirmed = 1, .ip = "", .text = ""
	};
	struct standin_agent_view view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);

	status_line_write(memory_line(standin_agent_memory(rig.agent), slot), view.generation + 1,
			  &line);
	cr_assert_eq(client_rig_report(inst).state, ONEBEAT_STATE_PENDING);
	cr_assert_eq(client_rig_report(inst).confirmed, 0);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, 0), ONEBEAT_E_TIMEOUT);
}

Test(client_wait, longest_texts_of_the_line_come_whole_and_end)
{
	static const char ip[] = "0000:0000:0000:0000:0000:ffff:255.255.255.255";
	struct onebeat_status_line *line = memory_line(standin_agent_memory(rig.agent), slot);
	struct onebeat_report report;
	char text[ONEBEAT_TEXT_MAX];

	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	judge(ONEBEAT_STATE_REFUSED);
	memcpy(line->ip, ip, sizeof(ip));
	memcpy(line->text, text, sizeof(text));
	report = client_rig_report(inst);
	cr_assert_str_eq(report.ip, ip);
	cr_assert_str_eq(report.text, text);
	memset(line->ip, 'x', sizeof(line->ip));
	memset(line->text, 'x', sizeof(line->text));
	report = client_rig_report(inst);
	cr_assert_lt(strnlen(report.ip, sizeof(report.ip)), sizeof(report.ip),
		     "ended though the line is not");
	cr_assert_lt(strnlen(report.text, sizeof(report.text)), sizeof(report.text));
}
