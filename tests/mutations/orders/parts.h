/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ORDERS_PARTS_H
#define ORDERS_PARTS_H

/* The protocol's two sides for the model checker: C, compiled with the stand-in for <stdatomic.h>. */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PARTS_WRITERS 2 /* each in a slot of its own; both slots in one word of dirty bits */

/* The shared words by number; the checker keeps one atomic for each. */
enum {
	PARTS_SLEEPING,
	PARTS_L1,
	PARTS_L0,
	PARTS_PUB,
	PARTS_BLOCKS = PARTS_PUB + PARTS_WRITERS,
	PARTS_BLOCK_WORDS = 8, /* six of the head, the checksum, one of payload */
	PARTS_WORDS = PARTS_BLOCKS + PARTS_WRITERS * 2 * PARTS_BLOCK_WORDS
};

enum {
	PARTS_PRIVATE = -1, /* not in shared memory */
	PARTS_CLEAR = -2    /* shared, always 0 here, and written by nobody */
};

/* Which word an address is. */
int parts_word(const volatile void *address);

/* Forgets the last run. */
void parts_reset(void);
/* Publishes the writer's next version, whose payload follows from slot and version. */
void parts_publish(int writer);
uint32_t parts_published(int writer);
int parts_has_rung(int writer);

/* The agent's pass over the dirty bits, and its look before it sleeps. */
void parts_drain(void);
int parts_falls_asleep(void);
/* Reads a slot's newest version. */
void parts_look(int writer);
uint32_t parts_seen(int writer);
/* What was wrong with a version that was read; NULL. */
const char *parts_fault(void);

#ifdef __cplusplus
}
#endif

#endif
