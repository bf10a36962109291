/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_RESTART_H
#define KEEPER_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#define RESTART_DELAY_MIN_MS 100u
#define RESTART_DELAY_MAX_MS 5000u
#define RESTART_STEADY_MS 60000u /* having lived so long, the next death is a first one again */
#define RESTART_EARLY_MS 10000u /* a death so soon after adoption is put down to what was adopted */
#define RESTART_EARLY_MAX 3u

/* When the agent is started again, and how. Pure: times are passed in. */
struct restart {
	uint32_t delay_ms; /* what the next death will cost */
	uint32_t n_early;  /* deaths in a row that came early */
};

#define RESTART_NULL          \
	{                     \
		.delay_ms = 0 \
	}

/*
 * An agent that started at started_ms, and was ready at ready_ms (0: never), died. Returns the
 * delay until the next.
 */
uint32_t restart_died(struct restart *r, uint64_t started_ms, uint64_t ready_ms, uint64_t now_ms);
/*
 * It could not be started at all, which says nothing of what would have been adopted. Returns the
 * delay.
 */
uint32_t restart_failed(struct restart *r);
/* Is the slot that was being adopted to be left out? */
bool restart_quarantine(const struct restart *r);

#endif
