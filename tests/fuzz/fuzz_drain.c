/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment in which anything may stand: agent/segment/drain.c, and decode.c on what it takes out.
 *
 * The input is the image of one slot (pub word, block) and of the dirty words. It may ask for a right checksum, or
 * nothing would come past that. All else of the segment is poisoned: a read of another slot, or behind the block,
 * is a report. What is accepted is what stands in the block, within its size; what is not has a sentence.
 */
#include <sanitizer/asan_interface.h>

#include "fuzz/fuzz.h"
#include "segment/decode.h"
#include "segment/drain.h"

#define N_SLOTS 40u
#define GENERATION 3u

enum {
	LARGE = 1u << 0,   /* the last slot, a large one */
	CHECK = 1u << 1,   /* the checksum is put right */
	HEAD = 1u << 2,    /* and all else that the head must say */
	SEEN = 1u << 3,    /* the agent has seen this version */
	BITMAPS = 1u << 4, /* what follows is for the dirty words */
};

static struct memory memory;

/* Memory of malloc, which AddressSanitizer knows, in the place of the mapping. */
static void make_memory(void)
{
	FUZZ_CHECK(memory_create(&memory, N_SLOTS) == 0);
	memory.data = aligned_alloc(4096, (memory.data_size + 4095u) & ~4095u);
	FUZZ_CHECK(memory.data);
	memset(memory.data, 0, memory.data_size);
}

static uint32_t block_size(uint32_t slot)
{
	return memory_payload_max(&memory, slot) + ONEBEAT_BLOCK_HEADER;
}

static void fill(struct fuzz_input *in, void *to, uint32_t size)
{
	fuzz_take(in, to, size);
}

/* Words 0 to 5 are the head's checked part, 6 is the checksum, the payload begins at 16. */
static void put_right(uint32_t *words, uint32_t slot, uint32_t version, uint8_t how)
{
	uint32_t max = memory_payload_max(&memory, slot);
	uint32_t length;

	if (how & HEAD) {
		words[0] = version;
		words[1] = GENERATION;
		words[2] %= max + 1;
		words[3] = ONEBEAT_ENCODING << 16 | (words[3] & 1 ? ONEBEAT_OP_LIVE : words[3] & 3);
		words[4] = slot;
		words[5] = 0;
	}
	length = words[2] < max ? words[2] : max;
	if (how & CHECK)
		words[6] = onebeat__crc32c(onebeat__crc32c(0, words, 6), words + 16,
					   ONEBEAT_PAD4(length) / 4);
}

static void check_decoded(const struct drain_copy *copy)
{
	struct descriptor *d;
	char why[DECODE_WHY_MAX];
	uint32_t *payload = fuzz_copy((const uint8_t *)copy->payload, copy->length);
	int r = decode_descriptor(payload, copy->length, &d, why);

	FUZZ_CHECK((r == 0) == (d != NULL) && (r == 0) == (why[0] == '\0'));
	descriptor_unref(d);
	free(payload);
}

static void read_slot(struct fuzz_input *in, uint8_t how)
{
	uint32_t slot = how & LARGE ? N_SLOTS - 1 : 5;
	uint32_t version = fuzz_word(in);
	uint32_t *block = (uint32_t *)(void *)memory_block(&memory, slot, version & 1);
	struct drain_copy copy;
	int r;

	*memory_pub(&memory, slot) = version;
	fill(in, block, block_size(slot));
	put_right(block, slot, version, how);
	ASAN_POISON_MEMORY_REGION(memory.data, memory.data_size);
	ASAN_UNPOISON_MEMORY_REGION(memory_pub(&memory, slot), sizeof(onebeat_word));
	ASAN_UNPOISON_MEMORY_REGION(block, block_size(slot));
	r = drain_read(&memory, slot, GENERATION, how & SEEN ? version : 0, &copy);
	ASAN_UNPOISON_MEMORY_REGION(memory.data, memory.data_size);
	FUZZ_CHECK((r == DRAIN_SAME) == (version == 0 || (how & SEEN)));
	FUZZ_CHECK(r != DRAIN_UNSTABLE);
	FUZZ_CHECK((r == DRAIN_INVALID) == (copy.why[0] != '\0'));
	if (r != DRAIN_READY)
		return;
	FUZZ_CHECK(copy.version == version && block[0] == version && block[1] == GENERATION);
	FUZZ_CHECK(block[4] == slot && copy.length <= memory_payload_max(&memory, slot));
	FUZZ_CHECK(copy.op == ONEBEAT_OP_LIVE ||
		   (copy.op == ONEBEAT_OP_WITHDRAW && copy.length == 0));
	FUZZ_CHECK(memcmp(copy.payload, block + 16, copy.length) == 0);
	if (copy.op == ONEBEAT_OP_LIVE)
		check_decoded(&copy);
}

static void count(void *ctx, uint32_t slot)
{
	uint8_t *calls = ctx;

	FUZZ_CHECK(slot < N_SLOTS && calls[slot] == 0);
	calls[slot]++;
}

/* Which slots the bits lead to is checked against a walk over the words from the top, as the protocol says. */
static void drain_bitmaps(struct fuzz_input *in)
{
	uint8_t calls[N_SLOTS] = { 0 };
	uint32_t expected = 0, last[N_SLOTS], n_news = 0;
	uint32_t l1, l0[2];

	fill(in, (uint8_t *)memory.data + ONEBEAT_L1_OFFSET, ONEBEAT_L1_WORDS * 4);
	fill(in, (uint8_t *)memory.data + ONEBEAT_L0_OFFSET, 64);
	fuzz_take(in, (uint8_t *)memory.data + ONEBEAT_PUB_OFFSET, N_SLOTS * 4);
	fuzz_take(in, last, sizeof(last));
	l1 = memory_l1(&memory)[0];
	for (uint32_t i = 0; i < 2; i++)
		l0[i] = l1 >> i & 1 ? memory_l0(&memory)[i] : 0;
	for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
		expected += l0[slot / 32] >> slot % 32 & 1;
		n_news += memory_pub(&memory, slot)[0] != last[slot] &&
			  memory_pub(&memory, slot)[0] != 0;
	}
	FUZZ_CHECK(drain_dirty(&memory, count, calls) == expected);
	FUZZ_CHECK(!drain_pending(&memory));
	memset(calls, 0, sizeof(calls));
	FUZZ_CHECK(drain_dirty(&memory, count, calls) == 0);
	FUZZ_CHECK(drain_sweep(&memory, last, N_SLOTS, count, calls) == n_news);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = fuzz_byte(&in);

	if (!memory.data)
		make_memory();
	memset(memory.data, 0, memory.data_size);
	if (how & BITMAPS)
		drain_bitmaps(&in);
	else
		read_slot(&in, how);
	return 0;
}
