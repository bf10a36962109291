/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * Which journals a successor does not believe.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>

#include "lib/journal_dir.h"
#include "segment/stamp.h"

#define N_SLOTS 1024u

static void set_up(void)
{
	journal_dir_init(N_SLOTS);
}

TestSuite(journal_stamp, .init = set_up, .fini = journal_dir_deinit);

/* What a successor finds: the agent has died without a word. */
static int reopen(void)
{
	return journal_dir_reopen(N_SLOTS);
}

static int open_at(const char *at, uint32_t n_slots)
{
	j = journal_close(j);
	return journal_open(&j, at, n_slots);
}

static void put_something(void)
{
	const struct journal_lease lease = { .pid = 77 };

	cr_assert_eq(journal_put_lease(j, 0, &lease), 0);
}

static void assert_empty(void)
{
	struct journal_lease lease;

	cr_assert(!journal_get_lease(j, 0, &lease));
}

Test(journal_stamp, other_number_of_slots_starts_afresh)
{
	put_something();
	cr_assert_eq(open_at(dir, N_SLOTS * 2), JOURNAL_FRESH);
	assert_empty();
	cr_assert_eq(open_at(dir, 0), -EINVAL);
	cr_assert_eq(open_at(dir, ONEBEAT_SLOTS_MAX + 1), -EINVAL);
	cr_assert_null(j);
}

/* Changes one word's lowest bit in the stamp; its check is made right again unless it is that word. */
static void spoil_stamp(size_t offset)
{
	uint32_t words[sizeof(struct stamp) / 4];
	const size_t last = sizeof(words) / 4 - 1;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	cr_assert_eq(pread(fd, words, sizeof(words), 0), (ssize_t)sizeof(words));
	words[offset / 4] ^= 1;
	if (offset / 4 != last)
		words[last] = onebeat__crc32c(0, words, last);
	cr_assert_eq(pwrite(fd, words, sizeof(words), 0), (ssize_t)sizeof(words));
	close(fd);
}

Test(journal_stamp, other_boot_format_or_damage_starts_afresh)
{
	static const size_t offsets[] = {
		offsetof(struct stamp, magic),   offsetof(struct stamp, byte_order),
		offsetof(struct stamp, format),  offsetof(struct stamp, sizes),
		offsetof(struct stamp, boot_id), offsetof(struct stamp, boot_id) + 32,
		offsetof(struct stamp, check)
	};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		put_something();
		spoil_stamp(offsets[i]);
		cr_assert_eq(reopen(), JOURNAL_FRESH, "word at %zu", offsets[i]);
		assert_empty();
	}
	cr_assert_eq(reopen(), JOURNAL_KEPT);
}

Test(journal_stamp, boot_id_in_the_stamp_is_this_boots)
{
	char id[64] = "", stamped[40] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_not_null(f);
	cr_assert_not_null(fgets(id, sizeof(id), f));
	fclose(f);
	id[strcspn(id, "\n")] = '\0';
	cr_assert_eq(strlen(id), 36);
	cr_assert_gt(pread(fd, stamped, 36, offsetof(struct stamp, boot_id)), 0);
	close(fd);
	cr_assert_str_eq(stamped, id);
}

/* Killed before the stamp was complete. */
Test(journal_stamp, unfinished_file_starts_afresh)
{
	for (off_t size = 0; size <= (off_t)sizeof(struct stamp); size += 28) {
		struct stat st;

		put_something();
		j = journal_close(j);
		cr_assert_eq(stat(path, &st), 0);
		cr_assert_eq(truncate(path, size), 0);
		cr_assert_eq(truncate(path, st.st_size), 0);
		cr_assert_eq(journal_open(&j, dir, N_SLOTS), JOURNAL_FRESH, "cut at %ld",
			     (long)size);
		assert_empty();
	}
}

Test(journal_stamp, file_is_ours_alone)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	put_something();
	cr_assert_eq(chmod(path, 0620), 0);
	cr_assert_eq(reopen(), JOURNAL_FRESH, "others could have written it");
	assert_empty();
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
}

Test(journal_stamp, link_in_its_place_is_replaced_and_not_followed)
{
	char elsewhere[160], text[8] = "";
	int fd;

	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir);
	fd = open(elsewhere, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_eq(write(fd, "precious", 8), 8);
	j = journal_close(j);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink(elsewhere, path), 0);
	cr_assert_eq(journal_open(&j, dir, N_SLOTS), JOURNAL_FRESH);
	cr_assert_eq(pread(fd, text, 8, 0), 8);
	cr_assert_eq(memcmp(text, "precious", 8), 0);
	close(fd);
	unlink(elsewhere);
}

Test(journal_stamp, folder_that_is_not_there_is_an_error)
{
	char *longer = calloc(1, 8192);

	cr_assert_eq(open_at("/tmp/onebeat-no-such-folder", N_SLOTS), -ENOENT);
	cr_assert_null(j);
	memset(longer, 'x', 8191);
	longer[0] = '/';
	cr_assert_eq(open_at(longer, N_SLOTS), -ENAMETOOLONG);
	free(longer);
	cr_assert_null(journal_close(NULL));
}

/* A dying predecessor still has its file mapped: it must not lose the ground under its feet. */
Test(journal_stamp, predecessors_mapping_survives_a_fresh_start)
{
	struct journal *old = j;
	struct journal_lease lease;

	put_something();
	j = NULL;
	cr_assert_eq(journal_open(&j, dir, N_SLOTS / 2), JOURNAL_FRESH);
	cr_assert(journal_get_lease(old, 0, &lease));
	cr_assert_eq(lease.pid, 77);
	journal_close(old);
}
