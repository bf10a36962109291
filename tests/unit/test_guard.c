/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory whose pages are taken away while the agent reads and writes it. The segment of these tests is not
 * sealed, unlike every real one, so that it can be truncated.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/journal_dir.h"
#include "lib/writer.h"
#include "segment/drain.h"
#include "segment/guard.h"
#include "segment/status_line.h"

#define N_SLOTS 64u
#define GENERATION 7u
#define TEXT "all is well"

static struct memory memory;
static int data_fd = -1, status_fd = -1;

/* Another file in the place of a mapping. */
static int put_unsealed(void *base, uint32_t size)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, size), 0);
	cr_assert_eq(mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), base);
	return fd;
}

static void set_up(void)
{
	cr_assert_eq(memory_create(&memory, N_SLOTS), 0);
	data_fd = put_unsealed(memory.data, memory.data_size);
	status_fd = put_unsealed(memory.status, memory.status_size);
	for (uint32_t slot = 0; slot < 2; slot++) {
		cr_assert_eq(memory_slot_open(&memory, slot, GENERATION), 0);
		writer_publish(&memory, slot, GENERATION, 1, ONEBEAT_OP_LIVE, TEXT, sizeof(TEXT));
	}
}

static void tear_down(void)
{
	memory_deinit(&memory);
	close(data_fd);
	close(status_fd);
	guard_uninstall();
}

TestSuite(guard, .init = set_up, .fini = tear_down);

static void truncate_data(void)
{
	cr_assert_eq(ftruncate(data_fd, 0), 0);
}

static void count_call(void *ctx, uint32_t slot)
{
	(void)slot;
	++*(uint32_t *)ctx;
}

/* The signal that ends a child which does this; 0: it ends well. */
static int killed_by(void (*act)(void))
{
	pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		/* Death by signal is what is asked about, so no sanitizer's report of it. */
		prctl(PR_SET_DUMPABLE, 0);
		act();
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void die_plainly(void)
{
	sigaction(SIGBUS, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

static void read_all(void)
{
	static struct drain_copy copy;
	uint32_t n = 0;

	(void)drain_read(&memory, 0, GENERATION, 0, &copy);
	(void)drain_dirty(&memory, count_call, &n);
}

static void read_truncated_unguarded(void)
{
	die_plainly();
	(void)ftruncate(data_fd, 0);
	read_all();
}

static void read_truncated_guarded(void)
{
	die_plainly();
	(void)guard_install();
	(void)ftruncate(data_fd, 0);
	read_all();
}

Test(guard, without_it_a_truncated_segment_kills_the_reader)
{
	cr_assert_eq(killed_by(read_truncated_unguarded), SIGBUS);
	cr_assert_eq(killed_by(read_truncated_guarded), 0);
}

Test(guard, every_reader_survives_and_finds_nothing)
{
	const uint32_t last[N_SLOTS] = { 1, 1 };
	struct drain_copy copy;
	uint32_t n = 0;

	cr_assert_eq(guard_install(), 0);
	cr_assert_eq(drain_read(&memory, 0, GENERATION, 0, &copy), DRAIN_READY);
	cr_assert_eq(memory_n_lost(&memory), 0);
	truncate_data();
	cr_assert_eq(drain_read(&memory, 0, GENERATION, 0, &copy), DRAIN_SAME);
	cr_assert_gt(memory_n_lost(&memory), 0);
	cr_assert_eq(drain_dirty(&memory, count_call, &n), 0);
	cr_assert_not(drain_pending(&memory));
	cr_assert_eq(drain_sweep(&memory, last, N_SLOTS, count_call, &n), 0);
	cr_assert_eq(n, 0);
	cr_assert_eq(atomic_load(memory_tick(&memory, 1)), 0);
}

/* pub is still there and says 1, the block is gone: zeros are no version. */
Test(guard, lost_block_is_an_invalid_version)
{
	struct drain_copy copy;

	cr_assert_eq(guard_install(), 0);
	cr_assert_eq(ftruncate(data_fd, ONEBEAT_BLOCKS_OFFSET), 0);
	cr_assert_eq(drain_read(&memory, 0, GENERATION, 0, &copy), DRAIN_INVALID);
	cr_assert_neq(copy.why[0], '\0');
}

Test(guard, every_writer_survives)
{
	cr_assert_eq(guard_install(), 0);
	truncate_data();
	cr_assert_eq(ftruncate(status_fd, 0), 0);
	memory_publish(&memory, 0, GENERATION, (const uint32_t *)(const void *)"text", 4);
	status_line_write(memory_line(&memory, 0), GENERATION,
			  &(struct status_line){ .state = 1, .text = "why" });
	status_line_beat(memory_line(&memory, 1), 5);
	drain_set_sleeping(&memory, true);
	cr_assert_gt(memory_n_lost(&memory), 0);
}

Test(guard, no_slot_is_granted_in_a_segment_that_lost_pages)
{
	struct drain_copy copy;

	cr_assert_eq(guard_install(), 0);
	cr_assert_eq(memory_slot_open(&memory, 2, GENERATION), 0);
	truncate_data();
	(void)drain_read(&memory, 0, GENERATION, 0, &copy);
	cr_assert_eq(memory_slot_open(&memory, 3, GENERATION), -EIO);
}

static void touch_another_file(void)
{
	int fd = memfd_create("other", MFD_CLOEXEC);
	volatile char *page;

	die_plainly();
	(void)guard_install();
	(void)ftruncate(fd, 4096);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)ftruncate(fd, 0);
	page[0] = 1;
}

static void send_it(void)
{
	die_plainly();
	(void)guard_install();
	raise(SIGBUS);
}

static void read_after_removal(void)
{
	die_plainly();
	(void)guard_install();
	guard_remove(memory.data);
	(void)ftruncate(data_fd, 0);
	read_all();
}

static void read_after_uninstall(void)
{
	die_plainly();
	(void)guard_install();
	guard_uninstall();
	(void)ftruncate(data_fd, 0);
	read_all();
}

/* The guard hides no bug: what is not about a guarded page ends the process as ever. */
Test(guard, other_bus_errors_kill_as_before)
{
	cr_assert_eq(killed_by(touch_another_file), SIGBUS);
	cr_assert_eq(killed_by(send_it), SIGBUS);
	cr_assert_eq(killed_by(read_after_removal), SIGBUS);
	cr_assert_eq(killed_by(read_after_uninstall), SIGBUS);
}

static volatile sig_atomic_t n_theirs;

static void on_theirs(int number)
{
	(void)number;
	n_theirs++;
}

Test(guard, handler_of_before_gets_what_is_not_ours)
{
	struct sigaction now;

	sigaction(SIGBUS, &(struct sigaction){ .sa_handler = on_theirs }, NULL);
	cr_assert_eq(guard_install(), 0);
	raise(SIGBUS);
	cr_assert_eq(n_theirs, 1);
	guard_uninstall();
	sigaction(SIGBUS, NULL, &now);
	cr_assert_eq(now.sa_handler, on_theirs);
}

static void *read_much(void *ctx)
{
	struct drain_copy copy;

	for (int i = 0; i < 20000; i++) {
		int r = drain_read(&memory, 0, GENERATION, 0, &copy);

		if (r == DRAIN_READY && memcmp(copy.payload, TEXT, sizeof(TEXT)) != 0)
			*(bool *)ctx = true;
	}
	return NULL;
}

/* The file comes and goes under four readers: whatever they accept is whole. */
Test(guard, truncation_at_any_moment)
{
	pthread_t threads[4];
	bool torn[4] = { false };

	cr_assert_eq(guard_install(), 0);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, read_much, &torn[i]), 0);
	for (int i = 0; i < 200; i++) {
		cr_assert_eq(ftruncate(data_fd, i % 2 ? memory.data_size : 0), 0);
		writer_publish(&memory, 0, GENERATION, 1, ONEBEAT_OP_LIVE, TEXT, sizeof(TEXT));
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_not(torn[i]);
	}
}

/* The journal's file, cut off by somebody: the agent lives, and each put says that it is of no use. */
Test(guard, journal_that_lost_pages_says_so)
{
	const struct journal_lease rec = { .pid = 1, .state = 1 };

	journal_dir_init(N_SLOTS);
	cr_assert_eq(guard_install(), 0);
	cr_assert_eq(journal_put_lease(j, 0, &rec), 0);
	cr_assert_eq(truncate(path, 0), 0);
	(void)journal_put_lease(j, 0, &rec); /* finds out */
	cr_assert_eq(journal_put_lease(j, 0, &rec), -EIO);
	journal_dir_deinit();
}
