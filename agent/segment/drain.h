/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_DRAIN_H
#define SEGMENT_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "segment/memory.h"

enum {
	DRAIN_READY = 0,    /* out holds a whole version */
	DRAIN_SAME = 1,     /* pub is what was seen last: nothing new */
	DRAIN_UNSTABLE = 2, /* changed under each of DRAIN_TRIES copies: look again later */
	DRAIN_INVALID = 3   /* a stable version that is not a valid block: out->why says how */
};

#define DRAIN_TRIES 4u

/* A private copy of one version of one slot. */
struct drain_copy {
	uint32_t version; /* pub */
	uint32_t op;      /* enum onebeat_op; 0 unless DRAIN_READY */
	uint32_t length;
	const char *why; /* static sentence */
	uint32_t payload[ONEBEAT_LARGE_PAYLOAD / 4];
};

/* Copies, fences, re-reads, and only then validates the copy: head, generation, length, checksum. */
int drain_read(const struct memory *m, uint32_t slot, uint32_t generation, uint32_t last_version,
	       struct drain_copy *out);

typedef void (*drain_fn)(void *ctx, uint32_t slot);

/* Takes the dirty bits top-down (L1 before L0) and calls fn for each slot below the number of slots. Number of calls. */
uint32_t drain_dirty(const struct memory *m, drain_fn fn, void *ctx);
/* True when a dirty bit is set: the look between "I sleep" and sleeping. */
bool drain_pending(const struct memory *m);
/* Writes the sleeping word; setting it to true ends with the full fence that the look needs. */
void drain_set_sleeping(const struct memory *m, bool sleeping);
/* The backstop: calls fn for each slot in [0, n) whose pub differs from last[slot]. */
uint32_t drain_sweep(const struct memory *m, const uint32_t *last, uint32_t n, drain_fn fn,
		     void *ctx);

#endif
