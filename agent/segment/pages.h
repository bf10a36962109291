/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_PAGES_H
#define SEGMENT_PAGES_H

#include <stdint.h>

/* The pages of one sparse file, and how many of its parts in use lie in each. */
struct pages {
	int fd; /* the owner's */
	uint32_t file_size;
	uint32_t page_size;
	uint16_t *users;
};

#define PAGES_NULL       \
	{                \
		.fd = -1 \
	}

int pages_init(struct pages *p, int fd, uint32_t file_size);
void pages_deinit(struct pages *p);

/* The part is in use: its pages are allocated. 0 or a negative errno, and nothing is kept then. */
int pages_take(struct pages *p, uint32_t offset, uint32_t size);
/* It is no longer: pages without users go back. */
void pages_give(struct pages *p, uint32_t offset, uint32_t size);

#endif
