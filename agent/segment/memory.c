/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two files of a trust domain
 *
 * DATA is written by clients and sealed, so that none of them can shrink it under us; STATUS is ours, and
 * clients get a descriptor of it that was opened for reading only. What we know of geometry stands in
 * struct memory and follows from n_slots alone: no number is ever read from either file to find an
 * address, so whoever scribbles over them spoils contents and nothing else. Our own STATUS is no
 * exception, because a process of our uid could open it again through /proc.
 *
 * Both files are sparse. A slot's pages are allocated before it is granted and go back after it.
 *
 * A status line's version never goes back, because a client may sleep on the value that it saw last. It
 * is kept here while the line's page is away.
 *
 * Watcher thread only, but for the address functions: nothing changes under those.
 */
#include "segment/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "segment/guard.h"
#include <onebeat/crashpoint.h>
#include "segment/sealed.h"
#include "segment/status_line.h"

struct memory_slot {
	uint32_t version; /* of its status line when it was closed */
	bool was_closed;
	bool open;
};

_Static_assert(ONEBEAT_BLOCKS_OFFSET + ONEBEAT_BLOCKS_ALIGN +
			       UINT64_C(2) * ONEBEAT_SLOTS_MAX * ONEBEAT_LARGE_BLOCK <=
		       UINT32_MAX,
	       "offsets of any geometry fit 32 bits");
_Static_assert(ONEBEAT_PUB_OFFSET + ONEBEAT_SLOTS_MAX * 4 <= ONEBEAT_TICK_OFFSET &&
		       ONEBEAT_TICK_OFFSET + ONEBEAT_TICK_SIZE <= ONEBEAT_BLOCKS_OFFSET,
	       "the regions do not overlap");

static void set_geometry(struct memory *m, uint32_t n_slots)
{
	uint32_t small_end;

	m->n_small = memory_n_small(n_slots);
	m->n_large = n_slots - m->n_small;
	m->small_offset = ONEBEAT_BLOCKS_OFFSET;
	small_end = m->small_offset + m->n_small * 2 * ONEBEAT_SMALL_BLOCK;
	m->large_offset = (small_end + ONEBEAT_BLOCKS_ALIGN - 1) & ~(ONEBEAT_BLOCKS_ALIGN - 1);
	m->data_size = m->large_offset + m->n_large * 2 * ONEBEAT_LARGE_BLOCK;
	m->status_size = (uint32_t)(sizeof(struct onebeat_status_header) +
				    n_slots * sizeof(struct onebeat_status_line));
}

/* What follows once both files are there and have their sizes. */
static int attach(struct memory *m)
{
	void *data = NULL;
	void *status = NULL;
	int r;

	m->slots = calloc(memory_n_slots(m), sizeof(*m->slots));
	if (!m->slots)
		return -ENOMEM;
	m->status_ro_fd = sealed_read_only(m->status_fd);
	if (m->status_ro_fd < 0)
		return m->status_ro_fd;
	r = sealed_map(m->data_fd, m->data_size, &data);
	if (r == 0)
		r = sealed_map(m->status_fd, m->status_size, &status);
	m->data = data;
	m->status = status;
	if (r == 0)
		r = guard_add(m->data, m->data_size);
	if (r == 0)
		r = guard_add(m->status, m->status_size);
	if (r == 0)
		r = pages_init(&m->data_pages, m->data_fd, m->data_size);
	if (r == 0)
		r = pages_init(&m->status_pages, m->status_fd, m->status_size);
	/* Every slot has a part in these, so they stay. */
	if (r == 0)
		r = pages_take(&m->data_pages, 0, ONEBEAT_PUB_OFFSET);
	if (r == 0)
		r = pages_take(&m->status_pages, 0, sizeof(struct onebeat_status_header));
	return r;
}

/* All that is written once, but for the magic. */
static void fill_header(const struct memory *m, struct onebeat_status_header *h)
{
	h->byte_order = ONEBEAT_SEGMENT_BYTE_ORDER;
	h->major = ONEBEAT_SEGMENT_MAJOR;
	h->minor = ONEBEAT_SEGMENT_MINOR;
	h->header_size = sizeof(*h);
	h->feat_incompat = 0;
	h->feat_compat = 0;
	h->line_size = sizeof(struct onebeat_status_line);
	memcpy(h->uuid, m->uuid, sizeof(h->uuid));
	h->n_small = m->n_small;
	h->n_large = m->n_large;
	h->small_offset = m->small_offset;
	h->large_offset = m->large_offset;
	h->data_size = m->data_size;
	h->status_size = m->status_size;
}

static void write_header(struct memory *m)
{
	fill_header(m, m->status);
	atomic_thread_fence(memory_order_release);
	memcpy(m->status->magic, ONEBEAT_SEGMENT_MAGIC, sizeof(m->status->magic));
	atomic_store_explicit(&m->status->ready, 1, memory_order_release);
}

void memory_restore_header(struct memory *m)
{
	write_header(m);
}

static int check_header(const struct memory *m)
{
	const struct onebeat_status_header *h = m->status;
	struct onebeat_status_header want = { .magic = { 0 } };

	fill_header(m, &want);
	memcpy(want.magic, ONEBEAT_SEGMENT_MAGIC, sizeof(want.magic));
	if (atomic_load_explicit(&h->ready, memory_order_acquire) != 1 ||
	    memcmp(h, &want, offsetof(struct onebeat_status_header, ready)) != 0)
		return -EBADMSG;
	return 0;
}

static int create(struct memory *m, uint32_t n_slots)
{
	int r;

	if (n_slots == 0 || n_slots > ONEBEAT_SLOTS_MAX)
		return -EINVAL;
	set_geometry(m, n_slots);
	if (getrandom(m->uuid, sizeof(m->uuid), 0) != (ssize_t)sizeof(m->uuid))
		return -errno;
	m->data_fd = sealed_make("onebeat-data", m->data_size);
	if (m->data_fd < 0)
		return m->data_fd;
	m->status_fd = sealed_make("onebeat-status", m->status_size);
	if (m->status_fd < 0)
		return m->status_fd;
	r = attach(m);
	if (r == 0)
		write_header(m);
	return r;
}

int memory_create(struct memory *m, uint32_t n_slots)
{
	int r;

	*m = (struct memory)MEMORY_NULL;
	r = create(m, n_slots);
	if (r < 0)
		memory_deinit(m);
	return r;
}

static int adopt(struct memory *m, uint32_t n_slots, const uint8_t uuid[16])
{
	int r;

	if (n_slots == 0 || n_slots > ONEBEAT_SLOTS_MAX)
		return -EINVAL;
	set_geometry(m, n_slots);
	memcpy(m->uuid, uuid, sizeof(m->uuid));
	r = sealed_check(m->data_fd, m->data_size);
	if (r == 0)
		r = sealed_check(m->status_fd, m->status_size);
	if (r == 0)
		r = attach(m);
	if (r == 0)
		r = check_header(m);
	if (r < 0)
		return r;
	m->epoch = atomic_fetch_add_explicit(&m->status->epoch, 1, memory_order_relaxed) + 1;
	/* The predecessor may have died asleep. */
	atomic_store_explicit(&m->status->sleeping, 0, memory_order_relaxed);
	return 0;
}

int memory_adopt(struct memory *m, int data_fd, int status_fd, uint32_t n_slots,
		 const uint8_t uuid[16])
{
	int r;

	*m = (struct memory)MEMORY_NULL;
	m->data_fd = data_fd;
	m->status_fd = status_fd;
	r = adopt(m, n_slots, uuid);
	if (r < 0)
		memory_deinit(m);
	return r;
}

void memory_deinit(struct memory *m)
{
	pages_deinit(&m->data_pages);
	pages_deinit(&m->status_pages);
	free(m->slots);
	guard_remove(m->data);
	guard_remove(m->status);
	if (m->data)
		munmap(m->data, m->data_size);
	if (m->status)
		munmap(m->status, m->status_size);
	close_fdp(&m->data_fd);
	close_fdp(&m->status_fd);
	close_fdp(&m->status_ro_fd);
	*m = (struct memory)MEMORY_NULL;
}

uint32_t memory_n_lost(const struct memory *m)
{
	return guard_n_lost(m->data) + guard_n_lost(m->status);
}

static uint32_t pub_offset(uint32_t slot)
{
	return ONEBEAT_PUB_OFFSET + slot * (uint32_t)sizeof(onebeat_word);
}

static uint32_t tick_offset(uint32_t slot)
{
	return ONEBEAT_TICK_OFFSET + slot * (uint32_t)sizeof(onebeat_word);
}

static uint32_t block_size(const struct memory *m, uint32_t slot)
{
	return memory_payload_max(m, slot) + ONEBEAT_BLOCK_HEADER;
}

static uint32_t block_offset(const struct memory *m, uint32_t slot)
{
	if (memory_class(m, slot) == ONEBEAT_CLASS_SMALL)
		return m->small_offset + slot * 2 * ONEBEAT_SMALL_BLOCK;
	return m->large_offset + (slot - m->n_small) * 2 * ONEBEAT_LARGE_BLOCK;
}

static uint32_t line_offset(uint32_t slot)
{
	return (uint32_t)(sizeof(struct onebeat_status_header) +
			  slot * sizeof(struct onebeat_status_line));
}

static void *data_at(const struct memory *m, uint32_t offset)
{
	return m->data + offset;
}

struct onebeat_block *memory_block(const struct memory *m, uint32_t slot, uint32_t parity)
{
	assert(slot < memory_n_slots(m) && parity < 2);
	return data_at(m, block_offset(m, slot) + parity * block_size(m, slot));
}

onebeat_word *memory_pub(const struct memory *m, uint32_t slot)
{
	assert(slot < memory_n_slots(m));
	return data_at(m, pub_offset(slot));
}

onebeat_word *memory_tick(const struct memory *m, uint32_t slot)
{
	assert(slot < memory_n_slots(m));
	return data_at(m, tick_offset(slot));
}

struct onebeat_status_line *memory_line(const struct memory *m, uint32_t slot)
{
	assert(slot < memory_n_slots(m));
	return (struct onebeat_status_line *)(void *)((uint8_t *)m->status + line_offset(slot));
}

onebeat_word *memory_l1(const struct memory *m)
{
	return data_at(m, ONEBEAT_L1_OFFSET);
}

onebeat_word *memory_l0(const struct memory *m)
{
	return data_at(m, ONEBEAT_L0_OFFSET);
}

/* One of the runs of bytes that make up a slot. */
struct part {
	struct pages *pages;
	uint32_t offset;
	uint32_t size;
};

#define N_PARTS 4

static struct part part_of(struct memory *m, uint32_t slot, int i)
{
	switch (i) {
	case 0:
		return (struct part){ &m->data_pages, pub_offset(slot), sizeof(onebeat_word) };
	case 1:
		return (struct part){ &m->data_pages, tick_offset(slot), sizeof(onebeat_word) };
	case 2:
		return (struct part){ &m->data_pages, block_offset(m, slot),
				      2 * block_size(m, slot) };
	default:
		return (struct part){ &m->status_pages, line_offset(slot),
				      sizeof(struct onebeat_status_line) };
	}
}

static void give_parts(struct memory *m, uint32_t slot, int n)
{
	while (n-- > 0) {
		struct part part = part_of(m, slot, n);

		pages_give(part.pages, part.offset, part.size);
	}
}

int memory_slot_adopt(struct memory *m, uint32_t slot)
{
	assert(slot < memory_n_slots(m) && !m->slots[slot].open);
	/* What we read may no longer be what the client writes. */
	if (memory_n_lost(m) > 0)
		return -EIO;
	for (int i = 0; i < N_PARTS; i++) {
		struct part part = part_of(m, slot, i);
		int r = pages_take(part.pages, part.offset, part.size);

		if (r < 0) {
			give_parts(m, slot, i);
			return r;
		}
	}
	m->slots[slot].open = true;
	return 0;
}

/* Both blocks: they lie side by side. */
static void clear_blocks(const struct memory *m, uint32_t slot)
{
	onebeat_word *words = data_at(m, block_offset(m, slot));

	for (uint32_t i = 0; i < 2 * block_size(m, slot) / sizeof(*words); i++)
		atomic_store_explicit(&words[i], 0, memory_order_relaxed);
}

int memory_slot_open(struct memory *m, uint32_t slot, uint32_t generation)
{
	struct onebeat_status_line *line = memory_line(m, slot);
	const struct memory_slot *s = &m->slots[slot];
	int r = memory_slot_adopt(m, slot);

	if (r < 0)
		return r;
	clear_blocks(m, slot);
	atomic_store_explicit(memory_tick(m, slot), 0, memory_order_relaxed);
	atomic_store_explicit(memory_pub(m, slot), 0, memory_order_release);
	status_line_reset(line, generation,
			  (s->was_closed ? s->version : status_line_version(line)) + 1);
	return 0;
}

void memory_slot_close(struct memory *m, uint32_t slot)
{
	struct memory_slot *s = &m->slots[slot];

	assert(slot < memory_n_slots(m));
	if (!s->open)
		return;
	s->version = status_line_version(memory_line(m, slot));
	s->was_closed = true;
	s->open = false;
	give_parts(m, slot, N_PARTS);
}

/* As every writer does it: the bit of the slot, then the bit of its word, unless that one stands. */
static void mark_dirty(const struct memory *m, uint32_t slot)
{
	onebeat_word *l0 = memory_l0(m) + slot / 32;
	onebeat_word *l1 = memory_l1(m) + slot / 1024;
	uint32_t bit = UINT32_C(1) << slot / 32 % 32;

	atomic_fetch_or_explicit(l0, UINT32_C(1) << slot % 32, memory_order_acq_rel);
	ONEBEAT_CRASH_POINT("agent.publish.l0");
	if (!(atomic_load_explicit(l1, memory_order_seq_cst) & bit))
		atomic_fetch_or_explicit(l1, bit, memory_order_seq_cst);
}

static void store_words(onebeat_word *to, const uint32_t *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		atomic_store_explicit(&to[i], from[i], memory_order_relaxed);
}

void memory_publish(struct memory *m, uint32_t slot, uint32_t generation, const uint32_t *payload,
		    uint32_t length)
{
	const uint32_t version = 1;
	const uint32_t head[ONEBEAT_BLOCK_CHECKED_WORDS] = {
		version, generation, length, ONEBEAT_ENCODING << 16 | ONEBEAT_OP_LIVE, slot, 0,
	};
	const uint32_t n = ONEBEAT_PAD4(length) / 4;
	struct onebeat_block *block = memory_block(m, slot, version & 1);
	uint32_t padded[ONEBEAT_LARGE_PAYLOAD / 4];
	uint32_t crc;

	assert(m->slots[slot].open && length <= memory_payload_max(m, slot));
	if (n > 0)
		padded[n - 1] = 0;
	memcpy(padded, payload, length);
	crc = onebeat__crc32c(onebeat__crc32c(0, head, ONEBEAT_BLOCK_CHECKED_WORDS), padded, n);
	atomic_thread_fence(memory_order_release);
	store_words(&block->seq, head, ONEBEAT_BLOCK_CHECKED_WORDS);
	store_words(&block->check[0], &crc, 1);
	store_words(block->payload, padded, n);
	ONEBEAT_CRASH_POINT("agent.publish.copied");
	atomic_store_explicit(memory_pub(m, slot), version, memory_order_release);
	ONEBEAT_CRASH_POINT("agent.publish.committed");
	mark_dirty(m, slot);
}
