/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The product's publisher and drain, as the scenarios call them
 *
 * libclient/publish.c and agent/segment/drain.c are linked as they are; this file is what is around them: a handle,
 * the addresses of the words, a socket that counts bells. C, because segment.h is.
 */
#include "steps.h"

#include <string.h>

#include "handle.h"
#include "publish.h"
#include "segment/drain.h"

#define N_SLOTS 8u
#define PAYLOAD_WORDS 1u
#define BLOCK_WORDS (ONEBEAT_BLOCK_HEADER / 4)

static struct onebeat handle;
static struct place places[STEPS_SLOTS];
static struct memory memory;
static uint32_t seen[STEPS_SLOTS];
static uint32_t n_rung;

int onebeat__lease_fd_send(const struct lease_fd *lease, const void *bytes, size_t n)
{
	(void)lease;
	(void)bytes;
	n_rung += n == ONEBEAT_BELL_SIZE;
	return 0;
}

struct onebeat_block *memory_block(const struct memory *m, uint32_t slot, uint32_t parity)
{
	return (struct onebeat_block *)(void *)(m->data + m->small_offset +
						(slot * 2 + parity) * ONEBEAT_SMALL_BLOCK);
}

onebeat_word *memory_pub(const struct memory *m, uint32_t slot)
{
	return (onebeat_word *)(void *)(m->data + ONEBEAT_PUB_OFFSET) + slot;
}

onebeat_word *memory_l1(const struct memory *m)
{
	return (onebeat_word *)(void *)(m->data + ONEBEAT_L1_OFFSET);
}

onebeat_word *memory_l0(const struct memory *m)
{
	return (onebeat_word *)(void *)(m->data + ONEBEAT_L0_OFFSET);
}

void steps_begin(uint8_t *data, uint8_t *status)
{
	memset(&handle, 0, sizeof(handle));
	memset(seen, 0, sizeof(seen));
	n_rung = 0;
	handle.map.data = data;
	handle.map.status = status;
	handle.map.n_small = N_SLOTS;
	handle.map.small_offset = ONEBEAT_BLOCKS_OFFSET;
	memory = (struct memory)MEMORY_NULL;
	memory.data = data;
	memory.status = (struct onebeat_status_header *)(void *)status;
	memory.n_small = N_SLOTS;
	memory.small_offset = ONEBEAT_BLOCKS_OFFSET;
	for (uint32_t i = 0; i < STEPS_SLOTS; i++)
		places[i] = (struct place){ .slot = i, .generation = i + 1, .version = 0 };
}

static bool is_block_word(const uint8_t *at)
{
	const size_t offset = (size_t)(at - (memory.data + memory.small_offset));
	const size_t word = offset % ONEBEAT_SMALL_BLOCK / 4;

	return at >= memory.data + memory.small_offset &&
	       offset < STEPS_SLOTS * 2 * ONEBEAT_SMALL_BLOCK &&
	       (word <= ONEBEAT_BLOCK_CHECKED_WORDS ||
		(word >= BLOCK_WORDS && word < BLOCK_WORDS + PAYLOAD_WORDS));
}

bool steps_is_modelled(const void *at)
{
	const onebeat_word *word = at;

	return word == memory_l1(&memory) || word == memory_l0(&memory) ||
	       (word >= memory_pub(&memory, 0) && word < memory_pub(&memory, STEPS_SLOTS)) ||
	       word == &memory.status->sleeping || is_block_word(at);
}

static uint32_t payload_of(uint32_t slot, uint32_t version)
{
	return slot << 16 | version;
}

void steps_publish(uint32_t slot)
{
	struct encoded descriptor = { .length = 4 * PAYLOAD_WORDS };

	descriptor.words[0] = payload_of(slot, places[slot].version + 1);
	(void)onebeat__publish(&handle, &places[slot], &descriptor);
}

uint32_t steps_published(uint32_t slot)
{
	return places[slot].version;
}

uint32_t steps_n_rung(void)
{
	return n_rung;
}

enum steps_answer steps_read(uint32_t slot)
{
	struct drain_copy copy;
	int r = drain_read(&memory, slot, slot + 1, seen[slot], &copy);

	if (r == DRAIN_SAME)
		return STEPS_SAME;
	if (r == DRAIN_UNSTABLE)
		return STEPS_UNSTABLE;
	if (r == DRAIN_INVALID)
		return STEPS_INVALID;
	if (copy.version < seen[slot] || copy.length != 4 * PAYLOAD_WORDS ||
	    copy.payload[0] != payload_of(slot, copy.version))
		return STEPS_FOREIGN;
	seen[slot] = copy.version;
	return STEPS_READY;
}

uint32_t steps_seen(uint32_t slot)
{
	return seen[slot];
}

static void look_at(void *ctx, uint32_t slot)
{
	enum steps_answer *worst = ctx;
	enum steps_answer r = slot < STEPS_SLOTS ? steps_read(slot) : STEPS_FOREIGN;

	*worst = r > *worst ? r : *worst;
}

enum steps_answer steps_drain(void)
{
	enum steps_answer worst = STEPS_SAME;

	(void)drain_dirty(&memory, look_at, &worst);
	return worst;
}

void steps_say_sleeping(void)
{
	drain_set_sleeping(&memory, true);
}

bool steps_pending(void)
{
	return drain_pending(&memory);
}
