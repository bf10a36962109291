/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading while the writer, or the reader, is killed
 *
 * A writer in another process publishes as fast as it can and is killed at any instruction, again and again.
 * Every version that is accepted must be whole, and none that holds still may be refused: without the second
 * look at pub, torn copies would be, by their checksum.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/described.h"

#define N_SLOTS 2048u
#define GENERATION 5u
#define SMALL 3u
#define LARGE (N_SLOTS - 1)
#define TORTURE_S 4 /* for each size of slot, when enough was read by then */
#define N_LEAST 200u

static struct memory mem = MEMORY_NULL;
static struct drain_copy copy;

static void open_slots(void)
{
	cr_assert_eq(memory_create(&mem, N_SLOTS), 0);
	cr_assert_eq(memory_slot_open(&mem, SMALL, GENERATION), 0);
	cr_assert_eq(memory_slot_open(&mem, LARGE, GENERATION), 0);
}

static void close_all(void)
{
	memory_deinit(&mem);
}

TestSuite(drain_torture, .init = open_slots, .fini = close_all);

static int read_slot(uint32_t slot, uint32_t last)
{
	return drain_read(&mem, slot, GENERATION, last, &copy);
}

struct tally {
	uint32_t n_accepted;
	uint32_t n_unstable;
	uint32_t n_same;
	uint32_t n_killed;
};

static void write_for_ever(uint32_t slot)
{
	uint32_t version = atomic_load(memory_pub(&mem, slot));

	for (;;) {
		if (++version == 0)
			version++;
		described_publish(&mem, slot, GENERATION, version);
	}
}

static pid_t start_writer(uint32_t slot)
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
		write_for_ever(slot);
	}
	return pid;
}

static void read_one(uint32_t slot, uint32_t *last, struct tally *t)
{
	int r = read_slot(slot, *last);

	cr_assert_neq(r, DRAIN_INVALID, "version %u: %s", copy.version, copy.why);
	t->n_unstable += r == DRAIN_UNSTABLE;
	if (r == DRAIN_SAME && ++t->n_same % 4096 == 0)
		sched_yield(); /* the writer may wait for this very CPU */
	if (r != DRAIN_READY)
		return;
	cr_assert(described_is_whole(&mem, slot, &copy), "version %u is torn", copy.version);
	*last = copy.version;
	t->n_accepted++;
}

/* On a busy machine less will do, but not nothing. */
static bool is_over(const struct tally *t, time_t start, uint32_t n_accepted)
{
	time_t seconds = time(NULL) - start;

	return t->n_accepted >= n_accepted || seconds > 60 ||
	       (seconds >= TORTURE_S && t->n_accepted > N_LEAST);
}

static struct tally torture(uint32_t slot, uint32_t n_accepted)
{
	const time_t start = time(NULL);
	struct tally t = { 0 };
	uint32_t last = 0;
	uint32_t random = 12345;

	while (!is_over(&t, start, n_accepted)) {
		pid_t pid = start_writer(slot);
		uint32_t enough;

		random = random * 1103515245 + 12345;
		enough = t.n_accepted + random / 65536 % 500;
		while (t.n_accepted < enough && !is_over(&t, start, n_accepted))
			read_one(slot, &last, &t);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		t.n_killed++;
		/* What it left must be readable without it. */
		read_one(slot, &last, &t);
		cr_assert_eq(read_slot(slot, last), DRAIN_SAME);
	}
	return t;
}

Test(drain_torture, nothing_torn_from_a_writer_that_is_killed_at_any_time)
{
	struct tally small = torture(SMALL, 60000);
	struct tally large = torture(LARGE, 60000);

	fprintf(stderr, "small: %u accepted, %u unstable, %u writers killed\n", small.n_accepted,
		small.n_unstable, small.n_killed);
	fprintf(stderr, "large: %u accepted, %u unstable, %u writers killed\n", large.n_accepted,
		large.n_unstable, large.n_killed);
	cr_assert_gt(small.n_accepted, N_LEAST);
	cr_assert_gt(large.n_accepted, N_LEAST);
	cr_assert_gt(small.n_killed, 0);
	cr_assert_gt(large.n_killed, 0);
}

static _Atomic bool stop;

static void *storm_pub(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		atomic_fetch_add_explicit(memory_pub(&mem, LARGE), 2, memory_order_relaxed);
	return NULL;
}

/* Somebody who does nothing but move pub cannot keep the agent: it gives up and says so. */
Test(drain_torture, slot_that_never_holds_still_is_left_for_later)
{
	time_t end = time(NULL) + 20;
	bool unstable = false;
	pthread_t thread;

	described_publish(&mem, LARGE, GENERATION, 1);
	cr_assert_eq(pthread_create(&thread, NULL, storm_pub, NULL), 0);
	while (!unstable && time(NULL) < end)
		unstable = read_slot(LARGE, 0) == DRAIN_UNSTABLE;
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	cr_assert(unstable);
	cr_assert_eq(copy.op, 0);
}

#ifdef ONEBEAT_CRASH_POINTS

static void note(void *ctx, uint32_t slot)
{
	uint32_t *noted = ctx;

	*noted = slot;
}

static void drain_and_read(void *ctx, uint32_t slot)
{
	(void)ctx;
	(void)read_slot(slot, 0);
}

/* An agent killed in the middle of a drain may lose bits, but never a version: its successor sweeps. */
Test(drain_torture, version_survives_an_agent_killed_at_any_step)
{
	static const char *const points[] = { "agent.drain.l1_taken", "agent.drain.l0_taken",
					      "agent.drain.copied", "agent.drain.reread" };
	uint32_t last[N_SLOTS] = { 0 };

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		uint32_t noted = ONEBEAT_NO_SLOT;
		int status;
		pid_t pid;

		described_publish(&mem, SMALL, GENERATION, (uint32_t)i + 1);
		pid = fork();
		if (pid == 0) {
			setenv("ONEBEAT_CRASH_AT", points[i], 1);
			drain_dirty(&mem, drain_and_read, NULL);
			_exit(0);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s", points[i]);
		cr_assert_eq(drain_sweep(&mem, last, N_SLOTS, note, &noted), 1);
		cr_assert_eq(read_slot(noted, last[SMALL]), DRAIN_READY);
		cr_assert(described_is_whole(&mem, SMALL, &copy));
		last[SMALL] = copy.version;
	}
}

#endif
