/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_STATUS_LINE_H
#define SEGMENT_STATUS_LINE_H

#include <stdint.h>

#include <onebeat/segment.h>

struct status_line {
	uint32_t state; /* enum onebeat_state; values in segment.h's line are the public ones */
	uint32_t code;
	uint32_t judged;
	uint32_t confirmed;
	uint32_t since_ms;
	uint32_t holders;
	const char *ip;   /* cut to the line's room */
	const char *text; /* cut at a UTF-8 boundary */
};

/* Writes what changed, moves version and wakes its waiters (futex) when anything did. Watcher only. */
void status_line_write(struct onebeat_status_line *line, uint32_t generation,
		       const struct status_line *s);
/* The one word that the sender writes. 0 is kept for "none". It moves no version: nobody waits for it. */
void status_line_beat(struct onebeat_status_line *line, uint64_t now_ms);
/* All zero for a new grant, and version as given: the caller knows which one comes next. */
void status_line_reset(struct onebeat_status_line *line, uint32_t generation, uint32_t version);

static inline uint32_t status_line_version(const struct onebeat_status_line *line)
{
	return atomic_load_explicit(&line->version, memory_order_relaxed);
}

#endif
