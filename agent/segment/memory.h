/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_MEMORY_H
#define SEGMENT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "segment/pages.h"
#include <onebeat/segment.h>

struct memory_slot;

/* The agent's private truth about one trust domain's memory; nothing of it is read back. */
struct memory {
	int data_fd;      /* read-write, sealed; passed to clients */
	int status_fd;    /* read-write, ours alone */
	int status_ro_fd; /* the same file, opened read-only; passed to clients */
	uint32_t n_small;
	uint32_t n_large;
	uint32_t small_offset;
	uint32_t large_offset;
	uint32_t data_size;
	uint32_t status_size;
	uint32_t epoch; /* 0, and one more at each adoption */
	uint8_t uuid[16];
	uint8_t *data;
	struct onebeat_status_header *status;
	struct memory_slot *slots;
	struct pages data_pages;
	struct pages status_pages;
};

#define MEMORY_NULL                                                                           \
	{                                                                                     \
		.data_fd = -1, .status_fd = -1, .status_ro_fd = -1, .data_pages = PAGES_NULL, \
		.status_pages = PAGES_NULL                                                    \
	}

/* Makes the two memfds for n_slots (7/8 small, the rest large). 0 or a negative errno. */
int memory_create(struct memory *m, uint32_t n_slots);
/* Takes over memfds that the keeper held (the descriptors are consumed in any case), made for n_slots
 * with this uuid: seals, sizes and header must be what memory_create() makes. -EBADMSG when they are
 * not. No slot is in use then: see memory_slot_adopt(). */
int memory_adopt(struct memory *m, int data_fd, int status_fd, uint32_t n_slots,
		 const uint8_t uuid[16]);
void memory_deinit(struct memory *m);
/* Writes the header again: a process of our own uid may have scribbled over it, and newcomers judge the segment by it. */
void memory_restore_header(struct memory *m);

/* How many of a domain's slots are small: an eighth, rounded up, is large. */
static inline uint32_t memory_n_small(uint32_t n_slots)
{
	return n_slots - n_slots / 8 - (n_slots % 8 != 0);
}

static inline uint32_t memory_n_slots(const struct memory *m)
{
	return m->n_small + m->n_large;
}

static inline enum onebeat_class memory_class(const struct memory *m, uint32_t slot)
{
	return slot < m->n_small ? ONEBEAT_CLASS_SMALL : ONEBEAT_CLASS_LARGE;
}

static inline uint32_t memory_payload_max(const struct memory *m, uint32_t slot)
{
	return memory_class(m, slot) == ONEBEAT_CLASS_SMALL ? ONEBEAT_SMALL_PAYLOAD
							    : ONEBEAT_LARGE_PAYLOAD;
}

/* Address from private constants and a slot number that the caller has checked (asserted). */
struct onebeat_block *memory_block(const struct memory *m, uint32_t slot, uint32_t parity);
onebeat_word *memory_pub(const struct memory *m, uint32_t slot);
onebeat_word *memory_tick(const struct memory *m, uint32_t slot);
struct onebeat_status_line *memory_line(const struct memory *m, uint32_t slot);
/* The dirty words: ONEBEAT_L1_WORDS, one bit a word of the other; ONEBEAT_L0_WORDS, one bit a slot. */
onebeat_word *memory_l1(const struct memory *m);
onebeat_word *memory_l0(const struct memory *m);

/* Pages of the mappings that were lost (guard.h): what clients write there is not seen. */
uint32_t memory_n_lost(const struct memory *m);

/* Makes a slot's pages resident, both blocks zero, pub 0, its line for this generation. -ENOSPC,
 * -ENOMEM; -EIO when pages were lost: refused grant, and nothing is kept. */
int memory_slot_open(struct memory *m, uint32_t slot, uint32_t generation);
/* After memory_adopt(): the slot is in use and stays as it is. 0; -ENOSPC, -ENOMEM as above, for pages
 * that somebody punched out meanwhile. */
int memory_slot_adopt(struct memory *m, uint32_t slot);
/* The slot has no owner any more: gives pages back that no other slot lies in. Nothing to do for a slot
 * that is not in use. */
void memory_slot_close(struct memory *m, uint32_t slot);
/* The agent as a slot's writer: publishes a descriptor that came in a message as version 1. */
void memory_publish(struct memory *m, uint32_t slot, uint32_t generation, const uint32_t *payload,
		    uint32_t length);

#endif
