/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in two halves
 *
 * A record has two cells and is always written to the one that does not hold the newest data, so a writer
 * that is killed half-way leaves what was there before. A cell counts when its checksum is right. The
 * checksum is taken away before the first word changes and put there after the last one: it is the one word
 * that commits, and 0, which no computed one is, means "not a cell", not by likelihood but for certain.
 *
 * This is about a process that dies, not about a machine that does: what a process has stored in a shared
 * mapping stays, and it is stored in program order as far as its own death can tell. So compiler barriers
 * are all it takes.
 *
 * One thread writes a record.
 */
#include "segment/cells.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <onebeat/crashpoint.h>
#include <onebeat/segment.h>

struct cell {
	uint32_t seq; /* the higher one of a record's two is the newer */
	uint32_t length;
	_Atomic uint32_t check;
	uint32_t data[];
};

_Static_assert(offsetof(struct cell, seq) == 0 && offsetof(struct cell, length) == 4 &&
		       offsetof(struct cell, check) == 8 &&
		       offsetof(struct cell, data) == CELLS_HEAD,
	       "a cell's data follows its head");

#define NONE (-1)

static struct cell *cell_of(void *record, uint32_t max, int i)
{
	return (struct cell *)(void *)((uint8_t *)record + (i ? cells_size(max) / 2 : 0));
}

static const struct cell *cell_in(const void *record, uint32_t max, int i)
{
	return (const struct cell *)(const void *)((const uint8_t *)record +
						   (i ? cells_size(max) / 2 : 0));
}

static uint32_t check_of(uint32_t seq, uint32_t length, const uint32_t *words)
{
	const uint32_t head[] = { seq, length };
	uint32_t crc = onebeat__crc32c(onebeat__crc32c(0, head, 2), words, length / 4);

	return crc ? crc : 1;
}

static bool is_valid(const struct cell *cell, uint32_t max)
{
	uint32_t check = atomic_load_explicit(&cell->check, memory_order_relaxed);

	return check != 0 && cell->length <= max && cell->length % 4 == 0 &&
	       check == check_of(cell->seq, cell->length, cell->data);
}

/* Which cell holds the newest data, or NONE. */
static int newest(const void *record, uint32_t max)
{
	const struct cell *a = cell_in(record, max, 0);
	const struct cell *b = cell_in(record, max, 1);
	int later = (int32_t)(b->seq - a->seq) > 0; /* a wrapped seq is later too */

	if (is_valid(later ? b : a, max))
		return later;
	return is_valid(later ? a : b, max) ? !later : NONE;
}

static void invalidate(struct cell *cell)
{
	atomic_store_explicit(&cell->check, 0, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

void cells_put(void *record, uint32_t max, const void *data, uint32_t length)
{
	int now = newest(record, max);
	struct cell *cell = cell_of(record, max, now == 0);
	uint32_t seq = now == NONE ? 1 : cell_of(record, max, now)->seq + 1;

	assert(length <= max && length % 4 == 0);
	ONEBEAT_CRASH_POINT_IN_TABLE("agent.journal.put.begun");
	invalidate(cell);
	ONEBEAT_CRASH_POINT_IN_TABLE("agent.journal.put.invalidated");
	cell->seq = seq;
	cell->length = length;
	memcpy(cell->data, data, length);
	ONEBEAT_CRASH_POINT_IN_TABLE("agent.journal.put.filled");
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&cell->check, check_of(seq, length, data), memory_order_release);
	ONEBEAT_CRASH_POINT_IN_TABLE("agent.journal.put.committed");
}

bool cells_get(const void *record, uint32_t max, void *data, uint32_t *length)
{
	int now = newest(record, max);
	const struct cell *cell;

	if (now == NONE)
		return false;
	cell = cell_in(record, max, now);
	memcpy(data, cell->data, cell->length);
	*length = cell->length;
	return true;
}

void cells_drop(void *record, uint32_t max)
{
	int now = newest(record, max);

	ONEBEAT_CRASH_POINT_IN_TABLE("agent.journal.drop.begun");
	/* The older one first: else it would stand as the newest in between. */
	invalidate(cell_of(record, max, now == 0));
	ONEBEAT_CRASH_POINT_IN_TABLE("agent.journal.drop.older");
	invalidate(cell_of(record, max, now != 0));
	ONEBEAT_CRASH_POINT_IN_TABLE("agent.journal.drop.both");
}
