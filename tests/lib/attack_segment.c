/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks through the segment: everything that a mapping of DATA lets a process write, and some that it does not
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/attacker.h"
#include "lib/writer.h"

#define CHECK_EVERY 64u /* acts between two looks at the clock */

static bool again(struct attacker *a)
{
	return a->n_done++ % CHECK_EVERY != 0 || !attacker_done(a);
}

/* Good descriptors, as fast as can be, in every slot. */
static void storm(struct attacker *a)
{
	uint32_t words[ONEBEAT_LARGE_PAYLOAD / 4];

	attacker_ask(a, a->count);
	while (again(a)) {
		uint32_t i = attacker_below(a, a->n_slots);
		struct onebeat_grant *g = &a->slots[i];
		uint32_t n = attacker_descriptor(words, "hostile", i + 1,
						 (double)attacker_below(a, 10000));

		writer_publish(&a->memory, g->slot, g->generation, ++g->version, ONEBEAT_OP_LIVE,
			       words, n);
	}
}

static void fill_bits(struct attacker *a, uint32_t bits)
{
	for (uint32_t i = 0; i < ONEBEAT_L0_WORDS; i++)
		atomic_store(&memory_l0(&a->memory)[i], bits);
	for (uint32_t i = 0; i < ONEBEAT_L1_WORDS; i++)
		atomic_store(&memory_l1(&a->memory)[i], bits);
}

static void ones(struct attacker *a)
{
	attacker_ask(a, a->count);
	while (again(a))
		fill_bits(a, UINT32_MAX);
}

static void zeros(struct attacker *a)
{
	while (again(a))
		fill_bits(a, 0);
}

/* Every slot says that it has a new version, all the time; what is in the blocks does not matter. */
static void pubs(struct attacker *a)
{
	uint32_t version = 1;

	attacker_ask(a, a->count);
	while (again(a)) {
		version++;
		for (uint32_t i = 0; i < a->n_slots; i++)
			atomic_store(memory_pub(&a->memory, a->slots[i].slot), version);
		fill_bits(a, UINT32_MAX);
	}
}

/* Random words anywhere. The file is sparse: pages that nobody has written yet are left alone, or it fills memory. */
static void scribble(struct attacker *a)
{
	const uint32_t end = a->memory.small_offset + 64 * 2 * ONEBEAT_SMALL_BLOCK;

	attacker_ask(a, a->count);
	while (again(a)) {
		uint32_t at = attacker_below(a, end / 4) * 4;
		onebeat_word *word = (onebeat_word *)(void *)(a->memory.data + at);

		atomic_store(word, attacker_below(a, 2) ? (uint32_t)attacker_random(a)
							: attacker_below(a, 8));
	}
}

/* Blocks that are right but for one thing, with and without a checksum to match. */
static void spoil(struct attacker *a)
{
	static const uint32_t odd[] = { 0,    1,    3,     447,        448,       449,
					4032, 4033, 65535, 0x7fffffff, UINT32_MAX };
	uint32_t words[ONEBEAT_LARGE_PAYLOAD / 4];
	struct written w;

	attacker_ask(a, a->count);
	while (again(a)) {
		uint32_t i = attacker_below(a, a->n_slots);
		struct onebeat_grant *g = &a->slots[i];
		uint32_t n = attacker_descriptor(words, "hostile", i + 1, 1);

		written_init(&w, g->slot, g->generation, ++g->version, ONEBEAT_OP_LIVE, words, n);
		if (attacker_below(a, 2))
			w.head[attacker_below(a, ONEBEAT_BLOCK_CHECKED_WORDS)] =
				odd[attacker_below(a, sizeof(odd) / sizeof(odd[0]))];
		else
			w.payload[attacker_below(a, n / 4)] ^= 1u << attacker_below(a, 32);
		if (attacker_below(a, 2))
			w.check = written_check(&w, memory_payload_max(&a->memory, g->slot));
		writer_store(&a->memory, g->slot, g->version, &w);
	}
}

/* Bits of a published block change between the agent's copy and its second look, and between its reads of one word. */
static void flip(struct attacker *a)
{
	uint32_t words[ONEBEAT_LARGE_PAYLOAD / 4];

	attacker_ask(a, a->count);
	while (again(a)) {
		uint32_t i = attacker_below(a, a->n_slots);
		struct onebeat_grant *g = &a->slots[i];
		uint32_t n = attacker_descriptor(words, "hostile", i + 1, 1);
		struct onebeat_block *block;

		writer_publish(&a->memory, g->slot, g->generation, ++g->version, ONEBEAT_OP_LIVE,
			       words, n);
		block = memory_block(&a->memory, g->slot, g->version & 1);
		for (uint32_t k = 0; k < 256; k++) {
			onebeat_word *word = attacker_below(a, 2)
						     ? &block->length
						     : &block->payload[attacker_below(a, n / 4)];
			uint32_t bit = 1u << attacker_below(a, 32);

			atomic_fetch_xor(word, bit);
			atomic_fetch_xor(word, bit);
		}
	}
}

/* Sealing does not keep a client from giving pages back. */
static void punch(struct attacker *a)
{
	uint32_t words[ONEBEAT_LARGE_PAYLOAD / 4];

	attacker_ask(a, a->count);
	while (again(a)) {
		uint32_t i = attacker_below(a, a->n_slots);
		struct onebeat_grant *g = &a->slots[i];
		uint32_t n = attacker_descriptor(words, "hostile", i + 1, 1);
		off_t at = attacker_below(a, 2)
				   ? (off_t)attacker_below(a, a->memory.data_size / 4096) * 4096
				   : 0;

		writer_publish(&a->memory, g->slot, g->generation, ++g->version, ONEBEAT_OP_LIVE,
			       words, n);
		if (fallocate(a->data_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
			      at ? 4096 : (off_t)a->memory.data_size) < 0)
			attacker_fail("punch: %s", strerror(errno));
	}
}

static void must_not(bool done, const char *what)
{
	if (done)
		attacker_fail("possible: %s", what);
}

/* What the kernel keeps it from. STATUS is its own uid's too when the agent's uid is: then it may scribble there. */
static void bounds(struct attacker *a)
{
	char path[64];
	int fd;

	must_not(ftruncate(a->data_fd, 0) == 0, "shrinking DATA");
	must_not(ftruncate(a->data_fd, (off_t)a->memory.data_size * 2) == 0, "growing DATA");
	must_not(fcntl(a->data_fd, F_ADD_SEALS, F_SEAL_WRITE) == 0,
		 "sealing DATA against the agent");
	must_not(ftruncate(a->status_fd, 0) == 0, "shrinking STATUS");
	must_not(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a->status_fd, 0) !=
			 MAP_FAILED,
		 "mapping STATUS for writing");
	must_not(mprotect(a->memory.status, 4096, PROT_READ | PROT_WRITE) == 0,
		 "making STATUS writable");
	must_not(fallocate(a->status_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0,
		 "punching STATUS");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", a->status_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && geteuid() != 0)
		attacker_fail("possible: opening STATUS again for writing");
	a->n_done = 8;
}

/* A process of the agent's own uid can open STATUS again; the agent must not care what it finds there. */
static void status(struct attacker *a)
{
	char path[64];
	uint32_t *words;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", a->status_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		attacker_fail("status: %s: only for the agent's own uid", strerror(errno));
	words = mmap(NULL, a->memory.status_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		attacker_fail("status: %s", strerror(errno));
	attacker_ask(a, a->count);
	while (again(a))
		words[attacker_below(a, 64 * 1024 / 4)] = (uint32_t)attacker_random(a);
}

const struct attack attacks_on_segment[] = {
	{ "storm", storm, "good descriptors as fast as can be" },
	{ "ones", ones, "every dirty bit, all the time" },
	{ "zeros", zeros, "no dirty bit lives" },
	{ "pubs", pubs, "every slot has a new version all the time" },
	{ "scribble", scribble, "random words anywhere" },
	{ "spoil", spoil, "blocks that are right but for one thing" },
	{ "flip", flip, "published blocks that change while they are read" },
	{ "punch", punch, "pages given back under the agent" },
	{ "bounds", bounds, "what the kernel must refuse" },
	{ "status", status, "STATUS opened again and scribbled over" },
	{ NULL, NULL, NULL },
};
