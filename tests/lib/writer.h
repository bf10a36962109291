/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_WRITER_H
#define TESTS_LIB_WRITER_H

/*
 * A slot's writer as the protocol wants it, step by step, and with each word in reach: tests spoil one.
 * Written from segment.h alone, so that library and agent are judged by a third party.
 */

#include <string.h>

#include "segment/memory.h"

/* One block's words. */
struct written {
	uint32_t head[ONEBEAT_BLOCK_CHECKED_WORDS]; /* seq, generation, length, encoding_op, slot, flags */
	uint32_t check;
	uint32_t payload[ONEBEAT_LARGE_PAYLOAD / 4];
};

enum {
	WRITTEN_SEQ,
	WRITTEN_GENERATION,
	WRITTEN_LENGTH,
	WRITTEN_OP,
	WRITTEN_SLOT,
	WRITTEN_FLAGS
};

/* The checksum that belongs to the words as they stand; a length that no block has counts as n_max. */
static inline uint32_t written_check(const struct written *w, uint32_t n_max)
{
	uint32_t n = w->head[WRITTEN_LENGTH] > n_max ? n_max : w->head[WRITTEN_LENGTH];
	uint32_t crc = onebeat__crc32c(0, w->head, ONEBEAT_BLOCK_CHECKED_WORDS);

	return onebeat__crc32c(crc, w->payload, ONEBEAT_PAD4(n) / 4);
}

static inline void written_init(struct written *w, uint32_t slot, uint32_t generation,
				uint32_t version, enum onebeat_op op, const void *payload,
				uint32_t length)
{
	w->head[WRITTEN_SEQ] = version;
	w->head[WRITTEN_GENERATION] = generation;
	w->head[WRITTEN_LENGTH] = length;
	w->head[WRITTEN_OP] = ONEBEAT_ENCODING << 16 | (uint32_t)op;
	w->head[WRITTEN_SLOT] = slot;
	w->head[WRITTEN_FLAGS] = 0;
	memset(w->payload, 0, ONEBEAT_PAD4(length));
	if (length > 0)
		memcpy(w->payload, payload, length);
	w->check = written_check(w, ONEBEAT_LARGE_PAYLOAD);
}

/* Stores the words into a block: the fence and the copy of a publication. */
static inline void written_fill(const struct written *w, struct onebeat_block *block,
				uint32_t n_words)
{
	onebeat_word *to = &block->seq;

	atomic_thread_fence(memory_order_release);
	for (uint32_t i = 0; i < ONEBEAT_BLOCK_CHECKED_WORDS; i++)
		atomic_store_explicit(&to[i], w->head[i], memory_order_relaxed);
	atomic_store_explicit(&block->check[0], w->check, memory_order_relaxed);
	for (uint32_t i = 0; i < n_words; i++)
		atomic_store_explicit(&block->payload[i], w->payload[i], memory_order_relaxed);
}

static inline void writer_mark(const struct memory *m, uint32_t slot)
{
	onebeat_word *l1 = &memory_l1(m)[slot / 1024];
	uint32_t bit = UINT32_C(1) << slot / 32 % 32;

	atomic_fetch_or(&memory_l0(m)[slot / 32], UINT32_C(1) << slot % 32);
	if (!(atomic_load(l1) & bit))
		atomic_fetch_or(l1, bit);
}

/* A whole publication of what may be spoilt. */
static inline void writer_store(const struct memory *m, uint32_t slot, uint32_t version,
				const struct written *w)
{
	uint32_t length = w->head[WRITTEN_LENGTH];
	uint32_t max = memory_payload_max(m, slot);

	written_fill(w, memory_block(m, slot, version & 1),
		     ONEBEAT_PAD4(length > max ? max : length) / 4);
	atomic_store_explicit(memory_pub(m, slot), version, memory_order_release);
	writer_mark(m, slot);
}

static inline void writer_publish(const struct memory *m, uint32_t slot, uint32_t generation,
				  uint32_t version, enum onebeat_op op, const void *payload,
				  uint32_t length)
{
	struct written w;

	written_init(&w, slot, generation, version, op, payload, length);
	writer_store(m, slot, version, &w);
}

#endif
