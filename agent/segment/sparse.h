/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_SPARSE_H
#define SEGMENT_SPARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A mapped part of a sparse file that knows which of its pages are there. */
struct sparse {
	int fd; /* the owner's */
	off_t start;
	uint64_t size;
	uint64_t page_size;
	uint8_t *base;             /* NULL: not mapped */
	_Atomic uint32_t *present; /* one bit a page: may be touched */
};

#define SPARSE_ALIGN 65536u /* no page is larger */
#define SPARSE_NULL      \
	{                \
		.fd = -1 \
	}

/* Maps [start, start + size) of the file, which grows to hold it; both multiples of
 * SPARSE_ALIGN. 0 or a negative errno. */
int sparse_map(struct sparse *s, int fd, off_t start, uint64_t size);
void sparse_unmap(struct sparse *s);

/* Makes the bytes fit to be touched. 0, or -ENOSPC and the like; -EIO when pages were lost. Any thread. */
int sparse_reserve(struct sparse *s, uint64_t offset, uint64_t size);
/* The bytes in place, when all their pages are there; else NULL. Any thread. */
uint8_t *sparse_at(const struct sparse *s, uint64_t offset, uint64_t size);
/* Copies the bytes without touching a page that is not there: those are zeros. False when there are none
 * but such, or they cannot be read. Any thread. */
bool sparse_read(const struct sparse *s, uint64_t offset, uint64_t size, void *out);
/* Gives all pages back: the part reads as zeros. Nobody else may use it meanwhile. */
void sparse_clear(struct sparse *s);

#endif
