/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_ARENA_H
#define ONEBEAT_ARENA_H

#include <stddef.h>
#include <stdint.h>

/*
 * One mapping: a page that a fork wipes, with *alive on it, n_bytes of zeros, and room that is only reserved.
 * 0 or a negative errno.
 */
struct arena {
	void *base;
	size_t size;
	volatile uint32_t *alive; /* 1; reads 0 in a forked child */
	uint8_t *bytes;
	uint8_t *room; /* starts at a page */
};

size_t onebeat__arena_page(void);
int onebeat__arena_new(struct arena *out, size_t n_bytes, size_t n_room);
/* All of it reads as zeros from here on; it stays mapped until the next one is freed. */
void onebeat__arena_free(void *base, size_t size);

#endif
