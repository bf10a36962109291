/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles in forked children. A child tells by its exit status; Criterion's macros stay in the parent.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client_rig.h"
#include "lib/until.h"

#define PORT 8080
#define CHILD_LIFE_S 20 /* a child that hangs dies of it */

static struct client_rig rig;
static struct onebeat_instance *inst;

static void set_up(void)
{
	client_rig_up(&rig);
	inst = client_rig_register(&rig, PORT);
	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
}

static void tear_down(void)
{
	client_rig_deinit(&rig);
}

TestSuite(client_fork, .init = set_up, .fini = tear_down);

static pid_t raw_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static pid_t (*const forks[])(void) = { fork, _Fork, raw_clone };

#define N_FORKS (sizeof(forks) / sizeof(forks[0]))

static int in_child(pid_t (*how)(void), int (*act)(void))
{
	int status = -1;
	pid_t pid = how();

	if (pid == 0) {
		alarm(CHILD_LIFE_S);
		_exit(act());
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* 0, or the number of the call that gave another code than it should. */
static int refused_calls(void)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *out;
	const int codes[] = {
		onebeat_register(rig.ob, &spec, &out),
		onebeat_update(inst, &spec),
		onebeat_set_status(inst, ONEBEAT_STATE_DOWN),
		onebeat_wait(inst, ONEBEAT_STATE_UP, 0),
		onebeat_attend(rig.ob),
		onebeat_fd(rig.ob),
		onebeat_deregister(inst),
	};

	for (int i = 0; i < (int)(sizeof(codes) / sizeof(codes[0])); i++) {
		if (codes[i] != ONEBEAT_E_FORKED)
			return i + 1;
	}
	return 0;
}

Test(client_fork, child_may_not_use_its_parents_handle_however_it_was_forked)
{
	for (size_t i = 0; i < N_FORKS; i++)
		cr_expect_eq(in_child(forks[i], refused_calls), 0, "fork %zu", i);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0, "the parent goes on");
	cr_assert(UNTIL(client_rig_report(inst).state == ONEBEAT_STATE_DOWN));
}

static int tick_5_times(void)
{
	for (int i = 0; i < 5; i++)
		onebeat_tick(inst);
	return 0;
}

Test(client_fork, tick_of_a_child_counts)
{
	struct standin_agent_view view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	const onebeat_word *tick = memory_tick(standin_agent_memory(rig.agent), view.slot);

	for (uint32_t i = 0; i < N_FORKS; i++) {
		cr_assert_eq(in_child(forks[i], tick_5_times), 0);
		cr_assert_eq(atomic_load(tick), (i + 1) * 5);
	}
}

static int to_child[2], to_parent[2];

static int report_state(void)
{
	struct onebeat_report report = { .size = sizeof(report) };

	return onebeat_status(inst, &report) == 0 ? report.state : 100;
}

/* Was UP, and is what the agent says after the fork. */
static int sees_change(void)
{
	char byte = 0;

	if (report_state() != ONEBEAT_STATE_UP)
		return 1;
	if (write(to_parent[1], &byte, 1) != 1 || read(to_child[0], &byte, 1) != 1)
		return 2;
	return report_state() == ONEBEAT_STATE_REFUSED ? 0 : 3;
}

Test(client_fork, status_of_a_child_is_the_agents_present_word)
{
	struct standin_agent_view view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	int status = -1;
	char byte = 0;
	pid_t pid;

	cr_assert(pipe(to_child) == 0 && pipe(to_parent) == 0);
	pid = fork();
	if (pid == 0) {
		alarm(CHILD_LIFE_S);
		_exit(sees_change());
	}
	cr_assert_eq(read(to_parent[0], &byte, 1), 1);
	standin_agent_judge(rig.agent, view.slot, ONEBEAT_STATE_REFUSED, 400, "no");
	cr_assert_eq(write(to_child[1], &byte, 1), 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

static int close_inherited(void)
{
	return onebeat_close(rig.ob);
}

Test(client_fork, close_in_a_child_takes_nothing_from_the_parent)
{
	struct standin_agent_counts counts;

	for (size_t i = 0; i < N_FORKS; i++)
		cr_assert_eq(in_child(forks[i], close_inherited), 0);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
	cr_assert(UNTIL(client_rig_report(inst).state == ONEBEAT_STATE_DOWN));
	counts = standin_agent_counts(rig.agent);
	cr_assert_eq(counts.n_goodbyes, 0);
	cr_assert_eq(counts.n_open, 1);
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW), 0);
}

/* Its own handle works; the inherited one stays refused beside it. */
static int opens_its_own(void)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *own;
	struct onebeat *ob;

	if (onebeat_open(&ob, NULL) < 0)
		return 20;
	if (onebeat_register(ob, &spec, &own) < 0)
		return 21;
	if (onebeat_wait(own, ONEBEAT_STATE_UP, (int)UNTIL_MS) < 0)
		return 22;
	if (refused_calls() != 0)
		return 23;
	return onebeat_close(ob) == 0 ? 0 : 24;
}

Test(client_fork, child_may_open_a_handle_of_its_own)
{
	for (uint32_t i = 0; i < N_FORKS; i++) {
		cr_assert_eq(in_child(forks[i], opens_its_own), 0);
		cr_assert(UNTIL(standin_agent_counts(rig.agent).n_goodbyes == i + 1));
	}
	cr_assert_eq(standin_agent_counts(rig.agent).n_connections, N_FORKS + 1);
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW), N_FORKS);
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE), 1, "the parent's");
}

static int child_forks_again(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(refused_calls());
	return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 30;
}

Test(client_fork, grandchild_is_told_from_the_parent_too)
{
	cr_assert_eq(in_child(fork, child_forks_again), 0);
}

/* The memory is shared for a moment: it must not look forked afterwards. */
Test(client_fork, parent_goes_on_after_vfork)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
	cr_assert_geq(onebeat_fd(rig.ob), 0);
}

static atomic_bool stopping;

static void *update_for_ever(void *context)
{
	struct onebeat_spec spec = client_rig_spec(PORT);

	(void)context;
	while (!atomic_load(&stopping))
		(void)onebeat_update(inst, &spec);
	return NULL;
}

/* The lock may be taken at the moment of the fork, by a thread that the child does not have. */
Test(client_fork, child_never_waits_for_a_lock_of_its_parent)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, update_for_ever, NULL), 0);
	for (int i = 0; i < 60; i++)
		cr_expect_eq(in_child(forks[(size_t)i % N_FORKS], refused_calls), 0, "round %d", i);
	for (int i = 0; i < 30; i++)
		cr_expect_eq(in_child(fork, close_inherited), 0, "round %d", i);
	atomic_store(&stopping, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
