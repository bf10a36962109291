/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for bytes in this process's own memory
 *
 * The text comes in two parts, so that the search finds no copy that its caller made for it.
 */
#include "lib/memory_search.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define SHADOW (1ul << 30) /* so large are only the sanitizers' own mappings */

size_t memory_search(const char *half, const char *other_half)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	size_t n_half = strlen(half);
	size_t n_other = strlen(other_half);
	size_t size = 1 << 20;
	/* Searched in a mapping that is left out, or the search would find itself. */
	char *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n_found = 0;
	char line[512];

	cr_assert(maps && mem >= 0 && copy != MAP_FAILED);
	while (fgets(line, sizeof(line), maps)) {
		char *rest; /* "FROM-TO rwxp ..." */
		unsigned long from = strtoul(line, &rest, 16);
		unsigned long to = strtoul(rest + 1, &rest, 16);

		cr_assert(to > from && *rest == ' ');
		if (rest[2] != 'w' || to - from > SHADOW ||
		    ((unsigned long)copy >= from && (unsigned long)copy < to))
			continue;
		for (; from < to; from += size) {
			size_t want = to - from < size ? to - from : size;
			ssize_t n = pread(mem, copy, want, (off_t)from);

			for (ssize_t i = 0; i + (ssize_t)(n_half + n_other) <= n; i++)
				if (memcmp(copy + i, half, n_half) == 0 &&
				    memcmp(copy + i + n_half, other_half, n_other) == 0)
					n_found++;
		}
	}
	munmap(copy, size);
	fclose(maps);
	close(mem);
	return n_found;
}
