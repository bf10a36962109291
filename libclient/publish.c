/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publication
 *
 * RCU with a one-bit pointer. A slot has two blocks; the version's lowest bit tells which one is published. We
 * fill the other one and then store the version: one 32-bit store commits. Whoever kills us in between leaves
 * the old version as it was, and the reader, which copies and then looks at the version again, never takes a
 * half-written one.
 *
 *  P1  the next version, from our own counter: the shared word is not trusted even by its writer
 *  P2  release fence: the version before must be visible before the stores that follow, which go to the
 *      block that the version before that one was in
 *  P3  head, checksum and payload, word by word
 *  P4  the version, with release
 *  P5  the slot's dirty bit. Release: who takes it sees P4. Acquire: if it was just taken, then P6 sees that
 *      the bit above was taken before it
 *  P6  the bit of that word, unless it stands. Not skipped because the slot's bit stood already: its setter
 *      may have died before it came here. seq_cst, because one that stands may be somebody's who is killed
 *      before he rings: then it is P7 that vouches for a bit that we have only seen, and C11 has it so for
 *      seq_cst operations alone
 *  P7  full fence: the bits before the look at the sleeping word. The agent stores that word, fences and
 *      looks at the bits, so one of us sees the other. A seq_cst operation in the place of the fence would
 *      not order the load behind it
 *  P8  if the agent sleeps: one byte on our own lease. A full socket means that it has been rung already
 *
 * Under the handle's lock, in the process that opened it.
 */
#include "publish.h"

#include <errno.h>

#include <onebeat/crashpoint.h>

/* Words of a block's head that the checksum covers, in their order. */
struct head {
	uint32_t seq;
	uint32_t generation;
	uint32_t length;
	uint32_t encoding_op;
	uint32_t slot;
	uint32_t flags;
};

_Static_assert(sizeof(struct head) == ONEBEAT_BLOCK_CHECKED_WORDS * 4, "the head's checked words");

static struct onebeat_block *block_of(const struct segment_map *map, uint32_t slot,
				      uint32_t version)
{
	const uint32_t parity = version & 1;

	if (slot < map->n_small)
		return (struct onebeat_block *)(void *)(map->data + map->small_offset +
							(slot * 2 + parity) * ONEBEAT_SMALL_BLOCK);
	return (struct onebeat_block *)(void *)(map->data + map->large_offset +
						((slot - map->n_small) * 2 + parity) *
							ONEBEAT_LARGE_BLOCK);
}

static void store_words(onebeat_word *to, const uint32_t *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		atomic_store_explicit(&to[i], from[i], memory_order_relaxed);
}

/* P2, P3 */
static void fill_block(struct onebeat_block *block, const struct head *head,
		       const struct encoded *descriptor)
{
	const uint32_t n = head->length / 4;
	uint32_t crc = onebeat__crc32c(0, &head->seq, ONEBEAT_BLOCK_CHECKED_WORDS);

	if (descriptor)
		crc = onebeat__crc32c(crc, descriptor->words, n);
	atomic_thread_fence(memory_order_release);
	ONEBEAT_CRASH_POINT("lib.publish.ordered");
	store_words(&block->seq, &head->seq, ONEBEAT_BLOCK_CHECKED_WORDS);
	ONEBEAT_CRASH_POINT("lib.publish.headed");
	store_words(&block->check[0], &crc, 1);
	if (descriptor)
		store_words(block->payload, descriptor->words, n);
	ONEBEAT_CRASH_POINT("lib.publish.copied");
}

/* P5, P6 */
static void mark_dirty(const struct segment_map *map, uint32_t slot)
{
	onebeat_word *l0 = segment_map_word(map, ONEBEAT_L0_OFFSET, slot / 32);
	onebeat_word *l1 = segment_map_word(map, ONEBEAT_L1_OFFSET, slot / 1024);
	const uint32_t bit = UINT32_C(1) << slot / 32 % 32;

	atomic_fetch_or_explicit(l0, UINT32_C(1) << slot % 32, memory_order_acq_rel);
	ONEBEAT_CRASH_POINT("lib.publish.l0");
	if (!(atomic_load_explicit(l1, memory_order_seq_cst) & bit))
		atomic_fetch_or_explicit(l1, bit, memory_order_seq_cst);
	ONEBEAT_CRASH_POINT("lib.publish.l1");
}

/* P7, P8 */
static int ring(const struct onebeat *ob)
{
	static const uint8_t bell[ONEBEAT_BELL_SIZE] = { 1 };
	int r;

	atomic_thread_fence(memory_order_seq_cst);
	ONEBEAT_CRASH_POINT("lib.publish.fenced");
	if (!atomic_load_explicit(&segment_map_header(&ob->map)->sleeping, memory_order_relaxed))
		return 0;
	r = onebeat__lease_fd_send(&ob->lease, bell, sizeof(bell));
	ONEBEAT_CRASH_POINT("lib.publish.rung");
	return r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM || r == -EINTR ? 0 : r;
}

/* 0 means "none" in the status line. Skipping to 2 keeps the parity going. */
static uint32_t next_version(uint32_t version)
{
	return version + 1 != 0 ? version + 1 : 2;
}

int onebeat__publish(struct onebeat *ob, struct place *place, const struct encoded *descriptor)
{
	const struct segment_map *map = &ob->map;
	const uint32_t slot = place_slot(place);
	const uint32_t version = next_version(
		atomic_load_explicit(&place->version, memory_order_relaxed)); /* P1 */
	const uint32_t op = descriptor ? ONEBEAT_OP_LIVE : ONEBEAT_OP_WITHDRAW;
	const struct head head = {
		.seq = version,
		.generation = atomic_load_explicit(&place->generation, memory_order_relaxed),
		.length = descriptor ? descriptor->length : 0,
		.encoding_op = (uint32_t)ONEBEAT_ENCODING << 16 | op,
		.slot = slot,
	};

	ONEBEAT_CRASH_POINT("lib.publish.versioned");
	fill_block(block_of(map, slot, version), &head, descriptor);
	atomic_store_explicit(&place->version, version, memory_order_relaxed);
	atomic_store_explicit(segment_map_word(map, ONEBEAT_PUB_OFFSET, slot), version,
			      memory_order_release); /* P4 */
	ONEBEAT_CRASH_POINT("lib.publish.committed");
	mark_dirty(map, slot);
	return ring(ob);
}
