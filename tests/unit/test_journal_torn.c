/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journal writes that did not get to their end: at every byte, at every step, and for want of space.
 *
 * fallocate is this program's own, so that a test can have the file system full.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/journal_dir.h"
#include "segment/cells.h"

#define N_SLOTS 64u
#define LARGE (N_SLOTS - 1)

static bool is_full;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (is_full && !(mode & FALLOC_FL_PUNCH_HOLE)) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static void set_up(void)
{
	journal_dir_init(N_SLOTS);
}

TestSuite(journal_torn, .init = set_up, .fini = journal_dir_deinit);

/* What a successor finds: the agent has died without a word. */
static int reopen(void)
{
	return journal_dir_reopen(N_SLOTS);
}

/* Cells, torn at every byte. */

#define MAX 448u

/* A record with n puts in it, and the data of the last one. */
static void fill_record(uint8_t *record, uint32_t n, uint32_t *data)
{
	for (uint32_t k = 1; k <= n; k++) {
		for (uint32_t i = 0; i < MAX / 4; i++)
			data[i] = k * 0x1000u + i;
		cells_put(record, MAX, data, MAX - 4 * (k % 4));
	}
}

/* What stands there is one of two whole states; 0 bytes of data are "no record". */
static void assert_either(const uint8_t *record, const uint32_t *before, uint32_t n_before,
			  const uint32_t *after, uint32_t n_after, const char *how, uint32_t at)
{
	uint32_t data[MAX / 4], length = 0;
	bool is_before, is_after;

	if (!cells_get(record, MAX, data, &length))
		length = 0;
	is_before = length == n_before && memcmp(data, before, length) == 0;
	is_after = length == n_after && memcmp(data, after, length) == 0;
	cr_assert(is_before || is_after, "%s, cut at byte %u", how, at);
}

/*
 * Bytes of a put that reached memory: those below the cut, those above it, and both with the check word
 * already taken away, as the code has it.
 */
Test(journal_torn, cells_read_whole_after_a_put_cut_at_any_byte)
{
	_Alignas(8) uint8_t old[1024] = { 0 }, new[1024], torn[1024];
	const uint32_t size = cells_size(MAX);

	for (uint32_t n = 0; n < 6; n++) {
		uint32_t before[MAX / 4] = { 0 }, after[MAX / 4];
		uint32_t n_before = n ? MAX - 4 * (n % 4) : 0;
		uint32_t n_after = MAX - 4 * ((n + 1) % 4);

		memset(old, 0, sizeof(old));
		fill_record(old, n, before);
		memset(new, 0, sizeof(new));
		fill_record(new, n + 1, after);
		for (uint32_t at = 0; at <= size; at++) {
			memcpy(torn, new, at);
			memcpy(torn + at, old + at, size - at);
			assert_either(torn, before, n_before, after, n_after, "from below", at);
			memcpy(torn, old, at);
			memcpy(torn + at, new + at, size - at);
			assert_either(torn, before, n_before, after, n_after, "from above", at);
		}
	}
}

Test(journal_torn, cells_notice_any_bit)
{
	_Alignas(8) uint8_t record[1024] = { 0 };
	const uint32_t size = cells_size(MAX) / 2;
	uint32_t data[MAX / 4], got[MAX / 4], length;

	fill_record(record, 1, data); /* in the first half, and nothing in the other */
	for (uint32_t bit = 0; bit < (size - 4) * 8;
	     bit++) { /* the last put left its last word alone */
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert(!cells_get(record, MAX, got, &length), "bit %u", bit);
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert(cells_get(record, MAX, got, &length));
}

/* A length out of a torn cell must lead nowhere. */
Test(journal_torn, cells_follow_no_length_beyond_their_size)
{
	static const uint32_t lengths[] = {
		MAX + 1, MAX + 4, 3, 0x7fffffff, 0xfffffffc, UINT32_MAX
	};
	uint32_t *record = calloc(1, cells_size(MAX));
	uint32_t data[MAX / 4], length;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		record[0] = 1;
		record[1] = lengths[i];
		record[2] = 1;
		cr_assert(!cells_get(record, MAX, data, &length));
		cells_drop(record, MAX);
	}
	free(record);
}

Test(journal_torn, cells_count_on_through_the_wrap)
{
	_Alignas(8) uint32_t record[(2 * (CELLS_HEAD + 4)) / 4] = { 0 };
	uint32_t value = 1, got, length;

	cells_put(record, 4, &value, 4);
	/* The same cell with a number just below the wrap, and a check to it. */
	record[0] = UINT32_MAX - 2;
	record[2] = onebeat__crc32c(onebeat__crc32c(0, record, 2), &record[3], 1);
	for (value = 2; value < 10; value++) {
		cells_put(record, 4, &value, 4);
		cr_assert(cells_get(record, 4, &got, &length));
		cr_assert_eq(got, value);
	}
}

/* A drop takes the older cell first: cut short, it leaves the newest data, never those before. */
Test(journal_torn, cut_drop_does_not_bring_back_what_was_before)
{
	_Alignas(8) uint8_t old[1024], dropped[1024], torn[1024];
	const uint32_t checks[] = { 8, cells_size(MAX) / 2 + 8 }; /* both cells' check words */

	for (uint32_t n = 1; n < 5; n++) {
		uint32_t data[MAX / 4], length = MAX - 4 * (n % 4);
		int newest = (n - 1) % 2;

		memset(old, 0, sizeof(old));
		fill_record(old, n, data);
		memcpy(dropped, old, sizeof(old));
		cells_drop(dropped, MAX);
		memcpy(torn, old, sizeof(old));
		memcpy(torn + checks[!newest], dropped + checks[!newest], 4);
		assert_either(torn, data, length, data, 0, "drop", n);
		memcpy(torn, dropped, sizeof(dropped));
		cr_assert(!cells_get(torn, MAX, data, &length));
	}
}

/* The same on the file, as a successor opens it. */

static size_t read_file(uint8_t **out)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_eq(fstat(fd, &st), 0);
	*out = malloc((size_t)st.st_size);
	cr_assert_eq(read(fd, *out, (size_t)st.st_size), st.st_size);
	close(fd);
	return (size_t)st.st_size;
}

/* Every put of a slot, cut at every 4th byte that it changes (and some between), found by a successor. */
static void cut_put_of_slot(uint32_t slot, uint32_t length)
{
	struct journal_slot before, after, got;
	uint8_t *old, *new;
	size_t size, first, end;
	int fd;

	fill_slot(&before, 1, length);
	cr_assert_eq(journal_put_slot(j, 0, slot, &before), 0);
	size = read_file(&old);
	fill_slot(&after, 2, length / 2 / 4 * 4);
	cr_assert_eq(journal_put_slot(j, 0, slot, &after), 0);
	cr_assert_eq(read_file(&new), size);
	for (first = 0; old[first] == new[first]; first++)
		;
	for (end = size; old[end - 1] == new[end - 1]; end--)
		;
	cr_assert(end - first > 84 && end - first < 4200, "one cell was written");
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (size_t at = first; at <= end; at += (end - first) / 300 + 1) {
		cr_assert_eq(pwrite(fd, new + first, at - first, (off_t)first),
			     (ssize_t)(at - first));
		cr_assert_eq(pwrite(fd, old + at, end - at, (off_t)at), (ssize_t)(end - at));
		cr_assert_eq(reopen(), JOURNAL_KEPT);
		cr_assert(journal_get_slot(j, 0, slot, &got), "cut at %zu", at - first);
		cr_assert(same_slot(&got, &before) || same_slot(&got, &after));
	}
	close(fd);
	free(old);
	free(new);
}

Test(journal_torn, successor_finds_a_small_slot_whole)
{
	cut_put_of_slot(3, ONEBEAT_SMALL_PAYLOAD);
}

Test(journal_torn, successor_finds_a_large_slot_whole)
{
	cut_put_of_slot(LARGE, ONEBEAT_LARGE_PAYLOAD);
}

/* No space left. */

Test(journal_torn, put_without_space_says_so_and_changes_nothing)
{
	struct journal_instance instance = { .version = 1 };
	struct journal_progress progress = { .posted = 1 };
	struct journal_lease lease = { .pid = 1 };
	struct journal_slot slot;

	fill_slot(&slot, 1, 64);
	cr_assert_eq(journal_put_slot(j, 0, 0, &slot), 0);
	is_full = true;
	cr_assert_eq(journal_put_lease(j, JOURNAL_LEASES_MAX - 1, &lease), -ENOSPC);
	cr_assert_eq(journal_put_instance(j, 5000, &instance), -ENOSPC);
	cr_assert_eq(journal_put_progress(j, 5000, &progress), -ENOSPC);
	cr_assert_eq(journal_put_slot(j, 0, LARGE, &slot), -ENOSPC);
	cr_assert_eq(journal_put_slot(j, 7, 0, &slot), -ENOSPC, "another domain");
	cr_assert(!journal_get_lease(j, JOURNAL_LEASES_MAX - 1, &lease));
	cr_assert(!journal_get_instance(j, 5000, &instance));
	cr_assert(!journal_get_progress(j, 5000, &progress));
	cr_assert(!journal_get_slot(j, 0, LARGE, &slot));
	fill_slot(&slot, 2, 64);
	cr_assert_eq(journal_put_slot(j, 0, 0, &slot), 0, "its page is there");
	is_full = false;
	cr_assert_eq(journal_put_slot(j, 0, LARGE, &slot), 0);
}

Test(journal_torn, domains_and_the_mark_never_need_space)
{
	const struct journal_domain domain = { .uid = 5 };
	struct journal_domain got;
	uint32_t d, slot;

	is_full = true;
	journal_put_domain(j, JOURNAL_DOMAINS_MAX - 1, &domain);
	journal_mark_adopting(j, 1, 2);
	cr_assert(journal_get_domain(j, JOURNAL_DOMAINS_MAX - 1, &got));
	journal_adopting(j, &d, &slot);
	cr_assert(d == 1 && slot == 2);
}

Test(journal_torn, open_without_space_is_refused)
{
	j = journal_close(j);
	unlink(path);
	is_full = true;
	cr_assert_eq(journal_open(&j, dir, N_SLOTS), -ENOSPC);
	cr_assert_null(j);
	is_full = false;
	cr_assert_eq(journal_open(&j, dir, N_SLOTS), JOURNAL_FRESH);
}

/* A killed process. */

static void put_for_ever(uint32_t slot)
{
	struct journal_slot rec;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint32_t seed = 1;; seed++) {
		fill_slot(&rec, seed, seed * 4 % (ONEBEAT_SMALL_PAYLOAD + 4));
		(void)journal_put_slot(j, 0, slot, &rec);
	}
}

/* Waits until the writer has got beyond a version; not for ever. */
static void await_version(uint32_t version)
{
	time_t end = time(NULL) + 10;
	struct journal_slot rec;

	do {
		if (journal_get_slot(j, 0, 3, &rec) && rec.version > version)
			return;
	} while (time(NULL) < end);
}

Test(journal_torn, agent_killed_at_any_time_leaves_a_whole_record)
{
	struct journal_slot rec, want;

	fill_slot(&rec, 1, 4);
	cr_assert_eq(journal_put_slot(j, 0, 3, &rec), 0);
	for (uint32_t round = 0; round < 100; round++) {
		pid_t pid = fork();

		if (pid == 0)
			put_for_ever(3);
		if (round % 10) /* every tenth dies when it likes, maybe before its first put */
			await_version(round);
		kill(pid, SIGKILL);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		cr_assert(journal_get_slot(j, 0, 3, &rec));
		fill_slot(&want, rec.version, rec.version * 4 % (ONEBEAT_SMALL_PAYLOAD + 4));
		cr_assert(same_slot(&rec, &want));
	}
	cr_assert_gt(rec.version, 90);
}

#ifdef ONEBEAT_CRASH_POINTS

/* Killed at one step of a put or drop; returns the version that a successor finds, 0 for none. */
static uint32_t version_after(const char *point, bool is_drop)
{
	struct journal_slot rec;
	int status;
	pid_t pid;

	for (uint32_t seed = 1; seed <= 2; seed++) {
		fill_slot(&rec, seed, 40);
		cr_assert_eq(journal_put_slot(j, 0, 9, &rec), 0);
	}
	pid = fork();
	if (pid == 0) {
		setenv("ONEBEAT_CRASH_AT", point, 1);
		fill_slot(&rec, 3, 80);
		if (is_drop)
			journal_drop_slot(j, 0, 9);
		else
			(void)journal_put_slot(j, 0, 9, &rec);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s", point);
	cr_assert_eq(reopen(), JOURNAL_KEPT);
	return journal_get_slot(j, 0, 9, &rec) ? rec.version : 0;
}

/* While a cell changes it is none: not by the odds of a checksum, but for certain. */
Test(journal_torn, cell_that_is_being_written_has_no_check)
{
	static const char *const points[] = { "agent.journal.put.invalidated",
					      "agent.journal.put.filled" };
	uint32_t *record = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
				0);
	uint32_t data[MAX / 4];

	cr_assert_neq(record, MAP_FAILED);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		pid_t pid;

		fill_record((uint8_t *)record, 2, data); /* the next one goes to the first cell */
		cr_assert_neq(record[2], 0);
		pid = fork();
		if (pid == 0) {
			setenv("ONEBEAT_CRASH_AT", points[i], 1);
			cells_put(record, MAX, data, MAX);
			_exit(0);
		}
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		cr_assert_eq(record[2], 0, "%s", points[i]);
		cells_drop(record, MAX);
	}
}

Test(journal_torn, every_step_of_a_put_leaves_the_old_or_the_new)
{
	cr_assert_eq(version_after("agent.journal.put.invalidated.slot", false), 2);
	cr_assert_eq(version_after("agent.journal.put.filled.slot", false), 2);
	cr_assert_eq(version_after("agent.journal.put.committed.slot", false), 3);
}

Test(journal_torn, every_step_of_a_drop_leaves_the_newest_or_nothing)
{
	cr_assert_eq(version_after("agent.journal.drop.older.slot", true), 2);
	cr_assert_eq(version_after("agent.journal.drop.both.slot", true), 0);
}

#endif
