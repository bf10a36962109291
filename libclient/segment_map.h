/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_SEGMENT_MAP_H
#define ONEBEAT_SEGMENT_MAP_H

#include <stdbool.h>
#include <sys/types.h>

#include <onebeat/segment.h>

/* What a handle sees of the two shared files. */
struct segment_map {
	/* Windows in the handle's own mapping: their addresses never change. */
	uint8_t *ticks_window;
	uint8_t *status;
	size_t ticks_window_size;
	size_t status_window_size;
	uint32_t ticks_shift; /* from the window's start to the first tick word */
	/* The rest. */
	uint8_t *data; /* NULL: nothing is mapped */
	uint32_t data_size;
	onebeat_word n_slots; /* read by status in any thread */
	uint32_t n_small;
	uint32_t small_offset;
	uint32_t large_offset;
	dev_t data_dev, status_dev;
	ino_t data_ino, status_ino;
};

/* Sizes of the two windows. */
void onebeat__segment_map_measure(struct segment_map *map, size_t page);
/* Checks both files and maps them, unless they are the ones that are mapped. 0, -EPROTO, or a negative errno. */
int onebeat__segment_map_attach(struct segment_map *map, int data_fd, int status_fd);
/* Unmaps DATA; idempotent. The windows go with the handle. Not for forked children: they have no DATA. */
void onebeat__segment_map_detach(struct segment_map *map);

static inline uint32_t segment_map_n_slots(const struct segment_map *map)
{
	return atomic_load_explicit(&map->n_slots, memory_order_relaxed);
}

static inline onebeat_word *segment_map_word(const struct segment_map *map, uint32_t offset,
					     uint32_t index)
{
	return (onebeat_word *)(void *)(map->data + offset) + index;
}

static inline onebeat_word *segment_map_tick(const struct segment_map *map, uint32_t slot)
{
	return (onebeat_word *)(void *)(map->ticks_window + map->ticks_shift) + slot;
}

static inline const struct onebeat_status_header *segment_map_header(const struct segment_map *map)
{
	return (const struct onebeat_status_header *)(const void *)map->status;
}

static inline const struct onebeat_status_line *segment_map_line(const struct segment_map *map,
								 uint32_t slot)
{
	return (const struct onebeat_status_line
			*)(const void *)(map->status + sizeof(struct onebeat_status_header)) +
	       slot;
}

#endif
