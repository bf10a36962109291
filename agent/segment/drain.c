/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what clients publish
 *
 * Every byte here is written by processes that may be hostile, or killed at any instruction. So a version
 * is copied to private memory first and judged afterwards, on the copy alone.
 *
 * Copy. The writer never touches the published block: it fills the other one and then stores pub + 1. The
 * copy is of one version if pub is the same before and after it. Why that is enough: a word of the update
 * after next, which goes to the block being copied, was stored behind that update's release fence, and that
 * fence stands behind the store of the update in between. A copy that read such a word therefore sees, after
 * its own acquire fence, a pub that has moved on. A writer in a tight loop could keep us here for ever, so
 * we look DRAIN_TRIES times and then leave the slot for later.
 *
 * Dirty bits. Writers set the slot's bit and then, unless it stands, the bit of its word. We clear in the
 * other order: the word's bit first, the slots' bits second. Bottom-up, a writer could find the upper bit
 * still standing that we are about to clear, and its slot would be lost. The second clearing carries the
 * order of both: a writer whose bit it misses has acquired it, and with it that the upper bit is gone. The
 * bits are hints all the same: anybody may clear them, so drain_sweep() compares all versions now and then.
 *
 * Sleeping. The writer sets its bits, fences and loads the sleeping word; we store the word, fence and look
 * at the bits. One of both sees the other.
 *
 * One thread reads a slot; the essay of segment.h has the writer's side.
 */
#include "segment/drain.h"

#include <assert.h>

#include <onebeat/crashpoint.h>

/* The words of a block's head that are looked at. */
struct head {
	uint32_t words
		[ONEBEAT_BLOCK_CHECKED_WORDS]; /* seq, generation, length, encoding_op, slot, flags */
	uint32_t check;
};

enum {
	HEAD_SEQ,
	HEAD_GENERATION,
	HEAD_LENGTH,
	HEAD_ENCODING_OP,
	HEAD_SLOT,
	HEAD_FLAGS
};

static void copy_words(uint32_t *to, const onebeat_word *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
}

/* All that is read of a block. The length is clamped by what we know of the slot before it is followed. */
static void copy_block(const struct memory *m, uint32_t slot, uint32_t parity, struct head *head,
		       uint32_t *payload)
{
	const struct onebeat_block *block = memory_block(m, slot, parity);
	const uint32_t max = memory_payload_max(m, slot);
	uint32_t length;

	copy_words(head->words, &block->seq, ONEBEAT_BLOCK_CHECKED_WORDS);
	copy_words(&head->check, &block->check[0], 1);
	length = head->words[HEAD_LENGTH];
	copy_words(payload, block->payload, ONEBEAT_PAD4(length < max ? length : max) / 4);
}

/* Judges a copy. NULL when it is a valid version, else what is wrong with it. */
static const char *check_copy(const struct memory *m, uint32_t slot, uint32_t generation,
			      uint32_t version, const struct head *head, const uint32_t *payload)
{
	const uint32_t *w = head->words;
	const uint32_t op = w[HEAD_ENCODING_OP] & 0xffff;
	uint32_t crc;

	if (w[HEAD_LENGTH] > memory_payload_max(m, slot))
		return "the block's length is over its slot's size";
	crc = onebeat__crc32c(0, w, ONEBEAT_BLOCK_CHECKED_WORDS);
	crc = onebeat__crc32c(crc, payload, ONEBEAT_PAD4(w[HEAD_LENGTH]) / 4);
	if (crc != head->check)
		return "the block's checksum is wrong";
	if (w[HEAD_SEQ] != version)
		return "the block belongs to another version";
	if (w[HEAD_GENERATION] != generation)
		return "the block was written under another grant";
	if (w[HEAD_SLOT] != slot)
		return "the block was written for another slot";
	if (w[HEAD_ENCODING_OP] >> 16 != ONEBEAT_ENCODING)
		return "the block is in an encoding that this agent does not know";
	if (w[HEAD_FLAGS] != 0)
		return "the block has flags that this agent does not know";
	if (op != ONEBEAT_OP_LIVE && op != ONEBEAT_OP_WITHDRAW)
		return "the block asks for an operation that this agent does not know";
	if (op == ONEBEAT_OP_WITHDRAW && w[HEAD_LENGTH] != 0)
		return "a withdrawing block has a payload";
	return NULL;
}

/* One copy of the version that pub shows. True when pub showed the same afterwards. */
static bool copy_stable(const struct memory *m, uint32_t slot, uint32_t version, struct head *head,
			uint32_t *payload)
{
	uint32_t after;

	copy_block(m, slot, version & 1, head, payload);
	ONEBEAT_CRASH_POINT("agent.drain.copied");
	atomic_thread_fence(memory_order_acquire);
	after = atomic_load_explicit(memory_pub(m, slot), memory_order_relaxed);
	ONEBEAT_CRASH_POINT("agent.drain.reread");
	return after == version;
}

int drain_read(const struct memory *m, uint32_t slot, uint32_t generation, uint32_t last_version,
	       struct drain_copy *out)
{
	struct head head;

	out->op = 0;
	out->length = 0;
	out->why = "";
	for (uint32_t i = 0; i < DRAIN_TRIES; i++) {
		out->version = atomic_load_explicit(memory_pub(m, slot), memory_order_acquire);
		if (out->version == last_version || out->version == 0)
			return DRAIN_SAME;
		ONEBEAT_CRASH_POINT("agent.drain.loaded");
		if (!copy_stable(m, slot, out->version, &head, out->payload))
			continue;
		out->why = check_copy(m, slot, generation, out->version, &head, out->payload);
		if (out->why)
			return DRAIN_INVALID;
		ONEBEAT_CRASH_POINT("agent.drain.judged");
		out->why = "";
		out->op = head.words[HEAD_ENCODING_OP] & 0xffff;
		out->length = head.words[HEAD_LENGTH];
		return DRAIN_READY;
	}
	return DRAIN_UNSTABLE;
}

/* Takes all bits of a word; most words are clear, and a load leaves their cache lines shared. */
static uint32_t take_bits(onebeat_word *word)
{
	if (atomic_load_explicit(word, memory_order_relaxed) == 0)
		return 0;
	return atomic_exchange_explicit(word, 0, memory_order_relaxed);
}

/* Index of the lowest bit, which is cleared. */
static uint32_t next_bit(uint32_t *bits)
{
	uint32_t i = (uint32_t)__builtin_ctz(*bits);

	*bits &= *bits - 1;
	return i;
}

/* Slots of one L0 word. */
static uint32_t drain_word(const struct memory *m, uint32_t word, drain_fn fn, void *ctx)
{
	uint32_t bits = atomic_exchange_explicit(memory_l0(m) + word, 0, memory_order_acq_rel);
	uint32_t n = 0;

	ONEBEAT_CRASH_POINT("agent.drain.l0_taken");
	while (bits) {
		uint32_t slot = word * 32 + next_bit(&bits);

		if (slot >= memory_n_slots(m))
			break;
		fn(ctx, slot);
		n++;
	}
	return n;
}

uint32_t drain_dirty(const struct memory *m, drain_fn fn, void *ctx)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ONEBEAT_L1_WORDS; i++) {
		uint32_t bits = take_bits(memory_l1(m) + i);

		if (bits)
			ONEBEAT_CRASH_POINT("agent.drain.l1_taken");
		while (bits)
			n += drain_word(m, i * 32 + next_bit(&bits), fn, ctx);
	}
	return n;
}

bool drain_pending(const struct memory *m)
{
	for (uint32_t i = 0; i < ONEBEAT_L1_WORDS; i++) {
		if (atomic_load_explicit(memory_l1(m) + i, memory_order_relaxed) != 0)
			return true;
	}
	return false;
}

void drain_set_sleeping(const struct memory *m, bool sleeping)
{
	atomic_store_explicit(&m->status->sleeping, sleeping, memory_order_relaxed);
	if (sleeping)
		atomic_thread_fence(memory_order_seq_cst);
	ONEBEAT_CRASH_POINT(sleeping ? "agent.sleep.said" : "agent.sleep.woken");
}

uint32_t drain_sweep(const struct memory *m, const uint32_t *last, uint32_t n, drain_fn fn,
		     void *ctx)
{
	uint32_t n_news = 0;

	assert(n <= memory_n_slots(m));
	for (uint32_t slot = 0; slot < n; slot++) {
		uint32_t version = atomic_load_explicit(memory_pub(m, slot), memory_order_relaxed);

		if (version == last[slot] || version == 0)
			continue;
		ONEBEAT_CRASH_POINT("agent.drain.swept");
		fn(ctx, slot);
		n_news++;
	}
	return n_news;
}
