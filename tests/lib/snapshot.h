/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_SNAPSHOT_H
#define TESTS_LIB_SNAPSHOT_H

/* What stands in a sparse file, to be put there again. A file that has grown since keeps its size. */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SNAPSHOT_PAGE 4096u

/* The pages of a sparse file that are there. */
struct snapshot {
	off_t size;
	uint32_t n;
	struct {
		off_t at;
		uint8_t bytes[SNAPSHOT_PAGE];
	} pages[160];
};

static inline void snapshot_take(struct snapshot *s, int fd)
{
	struct stat st;

	s->n = 0;
	cr_assert_eq(fstat(fd, &st), 0);
	s->size = st.st_size;
	for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0; at += SNAPSHOT_PAGE) {
		at = at / SNAPSHOT_PAGE * SNAPSHOT_PAGE;
		cr_assert_lt(s->n, sizeof(s->pages) / sizeof(s->pages[0]));
		s->pages[s->n].at = at;
		memset(s->pages[s->n].bytes, 0, SNAPSHOT_PAGE);
		cr_assert_gt(pread(fd, s->pages[s->n++].bytes, SNAPSHOT_PAGE, at), 0);
	}
}

static inline void snapshot_put_back(const struct snapshot *s, int fd)
{
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, s->size);
	for (uint32_t i = 0; i < s->n; i++) {
		off_t left = s->size - s->pages[i].at;

		cr_assert_gt(pwrite(fd, s->pages[i].bytes,
				    left < SNAPSHOT_PAGE ? (size_t)left : SNAPSHOT_PAGE,
				    s->pages[i].at),
			     0);
	}
}

#endif
