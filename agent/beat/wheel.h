/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_WHEEL_H
#define BEAT_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_MS 100u
#define WHEEL_SLOTS 512u

/* Embedded in what is to be woken. */
struct wheel_node {
	struct wheel_node *next;
	struct wheel_node **prevp; /* NULL: not on the wheel */
	uint64_t due_tick;
};

struct wheel {
	uint64_t tick; /* all up to this one have been taken */
	uint64_t n_nodes;
	struct wheel_node *slots[WHEEL_SLOTS];
	uint64_t occupied[WHEEL_SLOTS / 64]; /* a bit a slot that is not empty */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/*
 * Puts node where it belongs; one that is on the wheel is moved. A due time in the past means the
 * next tick, CLOCK_NEVER takes it off.
 */
void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t due_ms);
/* Takes node off; harmless when it is not on. */
void wheel_clear(struct wheel *w, struct wheel_node *node);
/*
 * Moves on to now and returns the nodes that fell due, chained by next, earliest due tick first, at
 * most max of them; the rest stays due and comes with the next call. They are off the wheel: read
 * next before setting one again.
 */
struct wheel_node *wheel_take(struct wheel *w, uint64_t now_ms, uint32_t max);
/*
 * When wheel_take() should be called next: not later than the earliest node's tick; CLOCK_NEVER
 * when empty.
 */
uint64_t wheel_due_ms(const struct wheel *w);

#endif
