/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_PACE_H
#define BEAT_PACE_H

#include <stdint.h>

/* Turns at a set rate. All zero is one without a limit. */
struct pace {
	uint32_t per_second; /* 0: no limit */
	uint64_t next_ns;    /* the next turn that is free */
};

/* From the next turn on; those that were given stay. */
void pace_set(struct pace *pace, uint32_t per_second);
/* The caller's turn: now_ms when one is free, else later. Each turn is given once. */
uint64_t pace_turn(struct pace *pace, uint64_t now_ms);

#endif
