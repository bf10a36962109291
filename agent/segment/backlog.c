/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots that wait to be looked at
 *
 * Dirty bits in shared memory are taken all at once, because they are cheap to take; what they lead to is not
 * cheap, and a hostile process can set all of them all the time. So the bits are kept here, and so many are worked
 * off in a turn. A slot waits once however often it was published, and is read when its turn comes: what is
 * seen then is the newest version, and none before it was promised to be.
 *
 * Turns go round: behind a slot that is published without end every other one is reached.
 *
 * Watcher thread only.
 */
#include "segment/backlog.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define BITS 32u

static uint32_t n_words(const struct backlog *b)
{
	return (b->n_slots + BITS - 1) / BITS;
}

int backlog_init(struct backlog *b, uint32_t n_slots)
{
	*b = (struct backlog){ .n_slots = n_slots };
	b->words = calloc(n_words(b), sizeof(*b->words));
	return b->words ? 0 : -ENOMEM;
}

void backlog_deinit(struct backlog *b)
{
	free(b->words);
	*b = (struct backlog){ .words = NULL };
}

void backlog_add(struct backlog *b, uint32_t slot)
{
	uint32_t bit = UINT32_C(1) << slot % BITS;

	assert(slot < b->n_slots);
	if (b->words[slot / BITS] & bit)
		return;
	b->words[slot / BITS] |= bit;
	b->n_waiting++;
}

bool backlog_take(struct backlog *b, uint32_t *slot)
{
	uint32_t word = b->next / BITS;
	uint32_t bits;

	if (b->n_waiting == 0)
		return false;
	bits = b->words[word] & UINT32_MAX << b->next % BITS;
	while (bits == 0) {
		word = word + 1 < n_words(b) ? word + 1 : 0;
		bits = b->words[word];
	}
	*slot = word * BITS + (uint32_t)__builtin_ctz(bits);
	b->words[word] &= ~(UINT32_C(1) << *slot % BITS);
	b->n_waiting--;
	b->next = *slot + 1 < b->n_slots ? *slot + 1 : 0;
	return true;
}
