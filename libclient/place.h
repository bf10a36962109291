/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_PLACE_H
#define ONEBEAT_PLACE_H

#include <stdbool.h>

#include <onebeat/lease.h>

/* The slot that an instance has. Read without the lock: slot is set last and taken away first. */
struct place {
	onebeat_word slot; /* ONEBEAT_NO_SLOT: none */
	onebeat_word generation;
	onebeat_word version; /* what we have published; the shared word is not read back */
};

static inline uint32_t place_slot(const struct place *p)
{
	return atomic_load_explicit(&p->slot, memory_order_acquire);
}

static inline void place_clear(struct place *p)
{
	atomic_store_explicit(&p->slot, ONEBEAT_NO_SLOT, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static inline void place_set(struct place *p, const struct onebeat_grant *g)
{
	place_clear(p);
	atomic_store_explicit(&p->generation, g->generation, memory_order_relaxed);
	atomic_store_explicit(&p->version, g->version, memory_order_relaxed);
	atomic_store_explicit(&p->slot, g->slot, memory_order_release);
}

static inline bool place_is(const struct place *p, uint32_t slot, uint32_t generation)
{
	return place_slot(p) == slot &&
	       atomic_load_explicit(&p->generation, memory_order_relaxed) == generation;
}

#endif
