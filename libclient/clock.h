/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_CLOCK_H
#define ONEBEAT_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_ms(clockid_t clock)
{
	struct timespec t = { 0, 0 };

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* For deadlines. */
static inline uint64_t clock_now_ms(void)
{
	return clock_read_ms(CLOCK_MONOTONIC);
}

/* The same within a few milliseconds, for the path of an update. */
static inline uint64_t clock_coarse_ms(void)
{
	return clock_read_ms(CLOCK_MONOTONIC_COARSE);
}

/* The clock of the status lines, cut to their width. */
static inline uint32_t clock_boot_ms(void)
{
	return (uint32_t)clock_read_ms(CLOCK_BOOTTIME);
}

#endif
