/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's writer and the agent's reader, over memory whose words the model checker keeps
 *
 * publish.c and drain.c are the project's own sources. What they need beside the shared words is here, as small
 * as can be: addresses, a lease whose bell is counted. The bytes below are never read or written; an address
 * among them only says which word is meant. All fibers of the checker are one thread of the machine, so what is
 * kept here between steps needs no care.
 */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publish.h"
#include "segment/drain.h"

#define GENERATION 7u
#define N_SMALL 32u
#define DATA_SIZE (ONEBEAT_BLOCKS_OFFSET + N_SMALL * 2 * ONEBEAT_SMALL_BLOCK)

static _Alignas(64) uint8_t data[DATA_SIZE];
static struct onebeat_status_header status;
static const struct memory memory = {
	.n_small = N_SMALL,
	.small_offset = ONEBEAT_BLOCKS_OFFSET,
	.data = data,
	.status = &status,
};

static struct writer {
	struct onebeat ob;
	struct place place;
	int has_rung;
} writers[PARTS_WRITERS];

static uint32_t seen[PARTS_WRITERS];
static const char *fault;
static struct drain_copy copy;

/* memory.c's addresses. */
struct onebeat_block *memory_block(const struct memory *m, uint32_t slot, uint32_t parity)
{
	return (struct onebeat_block *)(void *)(m->data + m->small_offset +
						(slot * 2 + parity) * ONEBEAT_SMALL_BLOCK);
}

static onebeat_word *words_at(const struct memory *m, uint32_t offset)
{
	return (onebeat_word *)(void *)(m->data + offset);
}

onebeat_word *memory_pub(const struct memory *m, uint32_t slot)
{
	return words_at(m, ONEBEAT_PUB_OFFSET) + slot;
}

onebeat_word *memory_l1(const struct memory *m)
{
	return words_at(m, ONEBEAT_L1_OFFSET);
}

onebeat_word *memory_l0(const struct memory *m)
{
	return words_at(m, ONEBEAT_L0_OFFSET);
}

/* lease_fd.c's bell. */
int onebeat__lease_fd_send(const struct lease_fd *lease, const void *bytes, size_t n)
{
	(void)bytes;
	(void)n;
	writers[lease->fd].has_rung = 1;
	return 0;
}

static int block_word(uint32_t offset)
{
	uint32_t block = offset / ONEBEAT_SMALL_BLOCK, word = offset % ONEBEAT_SMALL_BLOCK / 4;

	if (word >= ONEBEAT_BLOCK_HEADER / 4)
		word = word - ONEBEAT_BLOCK_HEADER / 4 + PARTS_BLOCK_WORDS - 1;
	if (block >= PARTS_WRITERS * 2 || word >= PARTS_BLOCK_WORDS)
		return PARTS_PRIVATE;
	return PARTS_BLOCKS + (int)(block * PARTS_BLOCK_WORDS + word);
}

int parts_word(const volatile void *address)
{
	const uintptr_t at = (uintptr_t)address - (uintptr_t)data;
	int word = PARTS_PRIVATE;

	if (address == &status.sleeping)
		return PARTS_SLEEPING;
	if (at >= DATA_SIZE)
		return PARTS_PRIVATE;
	if (at < ONEBEAT_L1_WORDS * 4)
		return at == 0 ? PARTS_L1 : PARTS_CLEAR;
	if (at == ONEBEAT_L0_OFFSET)
		return PARTS_L0;
	if (at >= ONEBEAT_PUB_OFFSET && at < ONEBEAT_PUB_OFFSET + PARTS_WRITERS * 4)
		return PARTS_PUB + (int)(at - ONEBEAT_PUB_OFFSET) / 4;
	if (at >= ONEBEAT_BLOCKS_OFFSET)
		word = block_word((uint32_t)at - ONEBEAT_BLOCKS_OFFSET);
	if (word == PARTS_PRIVATE) {
		printf("orders: a word of shared memory at 0x%zx that parts.c does not know\n",
		       (size_t)at);
		abort();
	}
	return word;
}

void parts_reset(void)
{
	memset(writers, 0, sizeof(writers));
	memset(seen, 0, sizeof(seen));
	fault = NULL;
	for (int i = 0; i < PARTS_WRITERS; i++) {
		struct writer *w = &writers[i];

		w->ob.map.data = data;
		w->ob.map.status = (uint8_t *)&status;
		w->ob.map.n_small = N_SMALL;
		w->ob.map.small_offset = ONEBEAT_BLOCKS_OFFSET;
		w->ob.lease.fd = i;
		w->place.slot = (uint32_t)i;
		w->place.generation = GENERATION;
	}
}

static uint32_t payload_of(uint32_t slot, uint32_t version)
{
	return version * 0x9e3779b1u ^ slot << 20;
}

void parts_publish(int writer)
{
	struct writer *w = &writers[writer];
	struct encoded descriptor = { .length = 4 };

	descriptor.words[0] = payload_of((uint32_t)writer, parts_published(writer) + 1);
	if (onebeat__publish(&w->ob, &w->place, &descriptor) != 0)
		abort();
}

uint32_t parts_published(int writer)
{
	return writers[writer].place.version;
}

int parts_has_rung(int writer)
{
	return writers[writer].has_rung;
}

static bool is_whole(uint32_t slot)
{
	return copy.op == ONEBEAT_OP_LIVE && copy.length == 4 &&
	       copy.payload[0] == payload_of(slot, copy.version);
}

void parts_look(int writer)
{
	const uint32_t slot = (uint32_t)writer;

	switch (drain_read(&memory, slot, GENERATION, seen[writer], &copy)) {
	case DRAIN_READY:
		if (!is_whole(slot))
			fault = "a torn version was accepted";
		else if (copy.version < seen[writer])
			fault = "an older version was accepted after a newer one";
		seen[writer] = copy.version;
		break;
	case DRAIN_INVALID:
		fault = copy.why;
		break;
	default:
		break;
	}
}

static void look(void *ctx, uint32_t slot)
{
	(void)ctx;
	if (slot < PARTS_WRITERS)
		parts_look((int)slot);
}

void parts_drain(void)
{
	(void)drain_dirty(&memory, look, NULL);
}

int parts_falls_asleep(void)
{
	drain_set_sleeping(&memory, true);
	return !drain_pending(&memory);
}

uint32_t parts_seen(int writer)
{
	return seen[writer];
}

const char *parts_fault(void)
{
	return fault;
}
