/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * What the agent takes for a version, and what it makes of everything else that may stand in a slot.
 */
#include <criterion/criterion.h>

#include "lib/described.h"

#define N_SLOTS 2048u
#define GENERATION 5u
#define SMALL 3u
#define TORTURE_S 4         /* at most, for each size of slot */
#define LARGE (N_SLOTS - 1) /* its second block ends where the mapping ends */

static struct memory mem = MEMORY_NULL;
static struct drain_copy copy;

static void open_slots(void)
{
	cr_assert_eq(memory_create(&mem, N_SLOTS), 0);
	cr_assert_eq(memory_slot_open(&mem, SMALL, GENERATION), 0);
	cr_assert_eq(memory_slot_open(&mem, LARGE, GENERATION), 0);
}

static void close_all(void)
{
	memory_deinit(&mem);
}

TestSuite(drain, .init = open_slots, .fini = close_all);

static int read_slot(uint32_t slot, uint32_t last)
{
	return drain_read(&mem, slot, GENERATION, last, &copy);
}

Test(drain, nothing_published_is_nothing_new)
{
	cr_assert_eq(read_slot(SMALL, 0), DRAIN_SAME);
	cr_assert_eq(read_slot(SMALL, 9), DRAIN_SAME, "0 is no version, whatever was seen last");
	cr_assert_eq(copy.op, 0);
}

Test(drain, version_is_read_once_and_each_after_it)
{
	for (uint32_t version = 1; version < 50; version++) {
		described_publish(&mem, SMALL, GENERATION, version);
		described_publish(&mem, LARGE, GENERATION, version);
		cr_assert_eq(read_slot(SMALL, version - 1), DRAIN_READY, "%s", copy.why);
		cr_assert_eq(copy.version, version);
		cr_assert(described_is_whole(&mem, SMALL, &copy));
		cr_assert_eq(read_slot(SMALL, version), DRAIN_SAME);
		cr_assert_eq(read_slot(LARGE, version - 1), DRAIN_READY, "%s", copy.why);
		cr_assert(described_is_whole(&mem, LARGE, &copy));
	}
}

Test(drain, versions_go_on_through_the_wrap)
{
	described_publish(&mem, SMALL, GENERATION, UINT32_MAX);
	cr_assert_eq(read_slot(SMALL, UINT32_MAX - 1), DRAIN_READY, "%s", copy.why);
	described_publish(&mem, SMALL, GENERATION,
			  1); /* 0 is left out: it means that nothing is published */
	cr_assert_eq(read_slot(SMALL, UINT32_MAX), DRAIN_READY, "%s", copy.why);
	cr_assert_eq(copy.version, 1);
}

Test(drain, every_length_that_fits_is_read_and_none_that_does_not)
{
	static const uint32_t slots[] = { SMALL, LARGE };
	uint8_t payload[ONEBEAT_LARGE_PAYLOAD];
	uint32_t version = 0;

	memset(payload, 0x5a, sizeof(payload));
	for (int i = 0; i < 2; i++) {
		const uint32_t max = memory_payload_max(&mem, slots[i]);

		version = 0;
		for (uint32_t length = 0; length <= max; length += length < 16 ? 1 : 61) {
			writer_publish(&mem, slots[i], GENERATION, ++version, ONEBEAT_OP_LIVE,
				       payload, length);
			cr_assert_eq(read_slot(slots[i], 0), DRAIN_READY, "%u: %s", length,
				     copy.why);
			cr_assert_eq(copy.length, length);
			cr_assert_eq(memcmp(copy.payload, payload, length), 0);
		}
		writer_publish(&mem, slots[i], GENERATION, ++version, ONEBEAT_OP_LIVE, payload,
			       max);
		cr_assert_eq(read_slot(slots[i], 0), DRAIN_READY);
		cr_assert_eq(copy.length, max);
	}
}

/* Lengths that would lead behind the block, the slot, the mapping, or round the corner of 32 bits. */
Test(drain, length_over_the_slots_size_is_never_followed)
{
	static const uint32_t lengths[] = { 1,          4,          4096,       0x10000,
					    0x7ffffff0, 0xfffffff0, 0xfffffffd, UINT32_MAX };
	static const uint32_t slots[] = { SMALL, LARGE };

	for (int s = 0; s < 2; s++) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			const uint32_t max = memory_payload_max(&mem, slots[s]);
			const uint32_t length = lengths[i] < 4096 ? max + lengths[i] : lengths[i];
			struct {
				struct drain_copy copy;
				uint8_t guard[64];
			} out;
			struct written w;

			memset(out.guard, 0xee, sizeof(out.guard));
			written_init(&w, slots[s], GENERATION, 1, ONEBEAT_OP_LIVE, NULL, 0);
			w.head[WRITTEN_LENGTH] = length;
			w.check = written_check(&w, max);
			writer_store(&mem, slots[s], 1, &w);
			cr_assert_eq(drain_read(&mem, slots[s], GENERATION, 0, &out.copy),
				     DRAIN_INVALID, "length %u", length);
			cr_assert(strstr(out.copy.why, "length"), "%s", out.copy.why);
			cr_assert_eq(out.copy.op, 0);
			for (size_t k = 0; k < sizeof(out.guard); k++)
				cr_assert_eq(out.guard[k], 0xee);
		}
	}
}

Test(drain, each_word_of_the_head_has_its_rule)
{
	static const struct {
		int word;
		uint32_t value;
		const char *why;
	} cases[] = {
		{ WRITTEN_SEQ, 2, "another version" },
		{ WRITTEN_SEQ, 0, "another version" },
		{ WRITTEN_GENERATION, GENERATION - 1, "another grant" },
		{ WRITTEN_GENERATION, GENERATION + 1, "another grant" },
		{ WRITTEN_OP, 0, "encoding" },
		{ WRITTEN_OP, 2 << 16 | ONEBEAT_OP_LIVE, "encoding" },
		{ WRITTEN_OP, ONEBEAT_ENCODING << 16, "operation" },
		{ WRITTEN_OP, ONEBEAT_ENCODING << 16 | 3, "operation" },
		{ WRITTEN_OP, ONEBEAT_ENCODING << 16 | ONEBEAT_OP_WITHDRAW, "withdrawing" },
		{ WRITTEN_SLOT, SMALL + 1, "another slot" },
		{ WRITTEN_FLAGS, 1, "flags" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint32_t payload[] = { 1, 2, 3 };
		struct written w;

		written_init(&w, SMALL, GENERATION, 1, ONEBEAT_OP_LIVE, payload, sizeof(payload));
		w.head[cases[i].word] = cases[i].value;
		w.check = written_check(&w, ONEBEAT_SMALL_PAYLOAD);
		writer_store(&mem, SMALL, 1, &w);
		cr_assert_eq(read_slot(SMALL, 0), DRAIN_INVALID, "case %zu", i);
		cr_assert(strstr(copy.why, cases[i].why), "case %zu: %s", i, copy.why);
		cr_assert_eq(copy.version, 1, "the caller must know what it has judged");
		cr_assert_eq(copy.op, 0);
	}
}

Test(drain, any_bit_that_changes_is_noticed)
{
	const uint32_t n_words = ONEBEAT_BLOCK_CHECKED_WORDS + 1;
	struct onebeat_block *block = memory_block(&mem, SMALL, 1);
	onebeat_word *words = &block->seq;
	const uint32_t payload[] = { 0, UINT32_MAX, 0x12345678 };

	writer_publish(&mem, SMALL, GENERATION, 1, ONEBEAT_OP_LIVE, payload, sizeof(payload));
	for (uint32_t bit = 0; bit < (n_words + 3) * 32; bit++) {
		uint32_t word = bit / 32;
		onebeat_word *at = word < n_words ? &words[word] : &block->payload[word - n_words];

		atomic_fetch_xor(at, UINT32_C(1) << bit % 32);
		cr_assert_eq(read_slot(SMALL, 0), DRAIN_INVALID, "bit %u", bit);
		atomic_fetch_xor(at, UINT32_C(1) << bit % 32);
	}
	cr_assert_eq(read_slot(SMALL, 0), DRAIN_READY);
}

Test(drain, withdrawing_needs_no_payload)
{
	writer_publish(&mem, SMALL, GENERATION, 1, ONEBEAT_OP_WITHDRAW, NULL, 0);
	cr_assert_eq(read_slot(SMALL, 0), DRAIN_READY, "%s", copy.why);
	cr_assert_eq(copy.op, ONEBEAT_OP_WITHDRAW);
	cr_assert_eq(copy.length, 0);
}

/* The head's reserved words and the unused ones of the check are for later: nobody minds them today. */
Test(drain, words_that_mean_nothing_yet_are_ignored)
{
	described_publish(&mem, SMALL, GENERATION, 1);
	for (int i = 1; i < 4; i++)
		atomic_store(&memory_block(&mem, SMALL, 1)->check[i], 7);
	for (int i = 0; i < 6; i++)
		atomic_store(&memory_block(&mem, SMALL, 1)->reserved[i], 7);
	cr_assert_eq(read_slot(SMALL, 0), DRAIN_READY);
}

/* A writer that died in the middle of the next version has only touched the block that is not published. */
Test(drain, half_written_next_version_leaves_this_one_readable)
{
	struct written w;

	described_publish(&mem, LARGE, GENERATION, 1);
	written_init(&w, LARGE, GENERATION, 2, ONEBEAT_OP_LIVE, NULL, 0);
	memset(w.payload, 0xff, sizeof(w.payload));
	for (uint32_t n = 0; n <= ONEBEAT_LARGE_PAYLOAD / 4; n += 84) {
		written_fill(&w, memory_block(&mem, LARGE, 0), n);
		cr_assert_eq(read_slot(LARGE, 0), DRAIN_READY, "%s", copy.why);
		cr_assert_eq(copy.version, 1);
		cr_assert(described_is_whole(&mem, LARGE, &copy));
	}
}

/* Dirty bits. */

struct seen {
	uint32_t n;
	uint32_t slots[N_SLOTS];
};

static void note(void *ctx, uint32_t slot)
{
	struct seen *seen = ctx;

	cr_assert_lt(seen->n, N_SLOTS, "more calls than slots");
	seen->slots[seen->n++] = slot;
}

Test(drain, dirty_slots_are_told_once_each)
{
	static const uint32_t slots[] = { 0,    1,    31,   32,   63,         1000,
					  1023, 1024, 1055, 1056, N_SLOTS - 1 };
	const uint32_t n = sizeof(slots) / sizeof(slots[0]);
	struct seen seen = { 0 };

	for (uint32_t i = n; i-- > 0;) {
		writer_mark(&mem, slots[i]);
		writer_mark(&mem, slots[i]);
	}
	cr_assert(drain_pending(&mem));
	cr_assert_eq(drain_dirty(&mem, note, &seen), n);
	cr_assert_eq(seen.n, n);
	cr_assert_eq(memcmp(seen.slots, slots, sizeof(slots)), 0);
	cr_assert(!drain_pending(&mem));
	cr_assert_eq(drain_dirty(&mem, note, &seen), 0);
}

Test(drain, every_slot_has_a_bit_of_its_own)
{
	for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
		struct seen seen = { 0 };

		writer_mark(&mem, slot);
		cr_assert_eq(drain_dirty(&mem, note, &seen), 1);
		cr_assert_eq(seen.slots[0], slot);
	}
}

/* All bits at once, also of slots that this domain does not have: each real slot once, and then silence,
 * or else the agent would never sleep again. */
Test(drain, bits_of_slots_that_are_not_there_are_swallowed)
{
	struct memory m;
	struct seen seen = { 0 };

	cr_assert_eq(memory_create(&m, 100), 0);
	for (uint32_t i = 0; i < ONEBEAT_L0_WORDS; i++)
		atomic_store(&memory_l0(&m)[i], UINT32_MAX);
	for (uint32_t i = 0; i < ONEBEAT_L1_WORDS; i++)
		atomic_store(&memory_l1(&m)[i], UINT32_MAX);
	cr_assert_eq(drain_dirty(&m, note, &seen), 100);
	for (uint32_t i = 0; i < 100; i++)
		cr_assert_eq(seen.slots[i], i);
	cr_assert(!drain_pending(&m));
	memory_deinit(&m);
}

Test(drain, hint_without_a_slot_is_harmless)
{
	struct seen seen = { 0 };

	atomic_store(&memory_l1(&mem)[1], 0xf0f0f0f0);
	cr_assert_eq(drain_dirty(&mem, note, &seen), 0);
	cr_assert(!drain_pending(&mem));
}

/* A writer killed between the two levels leaves a bit that the next mark in its word brings along. */
Test(drain, parked_bit_comes_with_its_neighbour)
{
	struct seen seen = { 0 };

	atomic_fetch_or(&memory_l0(&mem)[2], UINT32_C(1) << 5);
	cr_assert_eq(drain_dirty(&mem, note, &seen), 0);
	writer_mark(&mem, 2 * 32 + 9);
	cr_assert_eq(drain_dirty(&mem, note, &seen), 2);
	cr_assert_eq(seen.slots[0], 2 * 32 + 5);
}

/* While fn runs, a writer marks again: the mark must stand for the next round. */
static void mark_again(void *ctx, uint32_t slot)
{
	uint32_t *n = ctx;

	if ((*n)++ < 3)
		writer_mark(&mem, slot);
}

Test(drain, mark_made_during_the_drain_is_not_lost)
{
	uint32_t n = 0;

	writer_mark(&mem, SMALL);
	while (drain_pending(&mem))
		cr_assert_eq(drain_dirty(&mem, mark_again, &n), 1);
	cr_assert_eq(n, 4);
}

Test(drain, sleeping_word_says_what_was_set)
{
	drain_set_sleeping(&mem, true);
	cr_assert_eq(atomic_load(&mem.status->sleeping), 1);
	drain_set_sleeping(&mem, false);
	cr_assert_eq(atomic_load(&mem.status->sleeping), 0);
}

Test(drain, sweep_finds_what_the_bits_did_not_tell)
{
	uint32_t last[N_SLOTS] = { 0 };
	struct seen seen = { 0 };

	atomic_store(memory_pub(&mem, SMALL), 4);
	atomic_store(memory_pub(&mem, 700), 9);
	atomic_store(memory_pub(&mem, N_SLOTS - 1), 1);
	last[700] = 9;
	last[5] = 3; /* closed since: nothing is published there */
	cr_assert_eq(drain_sweep(&mem, last, N_SLOTS, note, &seen), 2);
	cr_assert_eq(seen.slots[0], SMALL);
	cr_assert_eq(seen.slots[1], N_SLOTS - 1);
	seen.n = 0;
	cr_assert_eq(drain_sweep(&mem, last, N_SLOTS - 1, note, &seen), 1, "below n only");
}
