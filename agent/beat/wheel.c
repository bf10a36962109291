/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timing wheel
 *
 * A hundred thousand deadlines that move at every beat: to set, move and clear one is a few
 * instructions and no allocation, because the node is embedded in what it wakes. A deadline is
 * rounded up to a tick of 100 ms, so nothing wakes early and a tick's beats leave together, batched
 * over few connections.
 *
 * The next 512 ticks have a slot each. A node that is due later waits in the last slot ahead and is
 * placed anew when the hand gets there: it is moved once a turn, however often a slot is taken in
 * parts. Finding the next slot that is not empty is a search over eight words of bits, so that a
 * jump of the clock (a suspended machine) costs by nodes and not by ticks.
 *
 * One thread owns a wheel. It reads no clock.
 */
#include "beat/wheel.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"

#define WORD_BITS 64u

_Static_assert(WHEEL_SLOTS % WORD_BITS == 0, "the bits fill their words");

static void link_node(struct wheel *w, struct wheel_node *node)
{
	uint64_t last_tick = w->tick + WHEEL_SLOTS;
	uint64_t tick = node->due_tick < last_tick ? node->due_tick : last_tick;
	uint32_t slot = (uint32_t)(tick % WHEEL_SLOTS);

	node->next = w->slots[slot];
	if (node->next)
		node->next->prevp = &node->next;
	node->prevp = &w->slots[slot];
	w->slots[slot] = node;
	w->occupied[slot / WORD_BITS] |= UINT64_C(1) << slot % WORD_BITS;
}

static void unlink_node(struct wheel *w, struct wheel_node *node)
{
	uintptr_t at = (uintptr_t)node->prevp - (uintptr_t)w->slots;

	*node->prevp = node->next;
	if (node->next)
		node->next->prevp = node->prevp;
	else if (at < sizeof(w->slots)) { /* was alone in its slot */
		size_t slot = at / sizeof(w->slots[0]);

		w->occupied[slot / WORD_BITS] &= ~(UINT64_C(1) << slot % WORD_BITS);
	}
	node->next = NULL;
	node->prevp = NULL;
}

/* The first tick ahead whose slot is not empty; CLOCK_NEVER when all are. */
static uint64_t next_tick(const struct wheel *w)
{
	uint64_t from = w->tick + 1;
	uint32_t slot = (uint32_t)(from % WHEEL_SLOTS);
	uint32_t n_words = WHEEL_SLOTS / WORD_BITS;
	uint64_t bits = w->occupied[slot / WORD_BITS] >> slot % WORD_BITS;

	if (bits)
		return from + (uint32_t)__builtin_ctzll(bits);
	from += WORD_BITS - slot % WORD_BITS;
	/* The last round meets the first word again, for the slots behind us. */
	for (uint32_t i = 1; i <= n_words; i++, from += WORD_BITS) {
		bits = w->occupied[(slot / WORD_BITS + i) % n_words];
		if (bits)
			return from + (uint32_t)__builtin_ctzll(bits);
	}
	return CLOCK_NEVER;
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->tick = now_ms / WHEEL_TICK_MS;
}

void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t due_ms)
{
	uint64_t tick = due_ms / WHEEL_TICK_MS + (due_ms % WHEEL_TICK_MS != 0);

	wheel_clear(w, node);
	if (due_ms == CLOCK_NEVER)
		return;
	node->due_tick = tick > w->tick ? tick : w->tick + 1;
	link_node(w, node);
	w->n_nodes++;
}

void wheel_clear(struct wheel *w, struct wheel_node *node)
{
	if (!node->prevp)
		return;
	unlink_node(w, node);
	w->n_nodes--;
}

/*
 * Appends at most *max of a slot's due nodes to the chain that ends at *last; returns its new end.
 */
static struct wheel_node **take_slot(struct wheel *w, uint64_t tick, struct wheel_node **last,
				     uint32_t *max)
{
	struct wheel_node *node;

	while (*max > 0 && (node = w->slots[tick % WHEEL_SLOTS]) != NULL) {
		unlink_node(w, node);
		if (node->due_tick > tick) {
			link_node(w, node);
			continue;
		}
		*last = node;
		last = &node->next;
		w->n_nodes--;
		--*max;
	}
	return last;
}

struct wheel_node *wheel_take(struct wheel *w, uint64_t now_ms, uint32_t max)
{
	uint64_t now_tick = now_ms / WHEEL_TICK_MS;
	struct wheel_node *first = NULL;
	struct wheel_node **last = &first;

	while (w->tick < now_tick) {
		uint64_t tick = next_tick(w);

		if (tick > now_tick) {
			w->tick = now_tick;
			break;
		}
		w->tick = tick - 1;
		last = take_slot(w, tick, last, &max);
		if (w->slots[tick % WHEEL_SLOTS])
			break;
		w->tick = tick;
	}
	return first;
}

uint64_t wheel_due_ms(const struct wheel *w)
{
	uint64_t tick = next_tick(w);

	return tick == CLOCK_NEVER ? CLOCK_NEVER : tick * WHEEL_TICK_MS;
}
