/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * Time as a value
 *
 * Every deadline of the agent is on CLOCK_BOOTTIME, in milliseconds: it goes on while the machine is
 * suspended, so that what fell due meanwhile is due on waking. Wall time is for display only.
 */

#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER UINT64_MAX

static inline uint64_t clock_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Milliseconds from now to due, for epoll_wait: 0 when over, -1 for CLOCK_NEVER, capped at a day. */
static inline int clock_wait_ms(uint64_t now_ms, uint64_t due_ms)
{
	if (due_ms == CLOCK_NEVER)
		return -1;
	if (due_ms <= now_ms)
		return 0;
	return due_ms - now_ms > 86400000 ? 86400000 : (int)(due_ms - now_ms);
}

#endif
