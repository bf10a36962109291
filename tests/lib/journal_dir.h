/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_JOURNAL_DIR_H
#define TESTS_LIB_JOURNAL_DIR_H

/* A journal in a folder of its own, on tmpfs where there is one: that is what runtime folders are on. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/journal.h"
#include "segment/memory.h"

static char dir[128];
static char path[160];
static struct journal *j;

static inline void journal_dir_init(uint32_t n_slots)
{
	const char *base = getenv("TMPDIR");

	if (!base || !base[0])
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(dir, sizeof(dir), "%s/onebeat-journal-XXXXXX", base);
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/journal", dir);
	cr_assert_eq(journal_open(&j, dir, n_slots), JOURNAL_FRESH);
}

static inline void journal_dir_deinit(void)
{
	j = journal_close(j);
	unlink(path);
	rmdir(dir);
}

/* Opens it anew, as a successor does. */
static inline int journal_dir_reopen(uint32_t n_slots)
{
	j = journal_close(j);
	return journal_open(&j, dir, n_slots);
}

/* A record in which everything follows from the seed. */
static inline void fill_slot(struct journal_slot *rec, uint32_t seed, uint32_t length)
{
	memset(rec, 0, sizeof(*rec));
	rec->generation = seed;
	rec->state = seed + 1;
	rec->lease = seed + 2;
	rec->instance = seed + 3;
	rec->policy = seed + 4;
	rec->version = seed;
	rec->order = (uint64_t)seed << 32 | seed;
	snprintf(rec->ip, sizeof(rec->ip), "10.0.0.%u", seed % 256);
	rec->length = length;
	for (uint32_t i = 0; i < (length + 3) / 4; i++)
		rec->descriptor[i] = seed * 0x01010101u + i;
}

static inline bool same_slot(const struct journal_slot *a, const struct journal_slot *b)
{
	return memcmp(a, b, offsetof(struct journal_slot, descriptor)) == 0 &&
	       memcmp(a->descriptor, b->descriptor, a->length) == 0;
}

#endif
