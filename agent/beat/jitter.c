/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jitter
 *
 * Delays that differ between instances, so that what failed together does not come back together.
 * The numbers need not be good, only spread, cheap, four bytes an instance, and the same in every
 * run of a test: a xorshift whose state the caller keeps. Its first outputs of small seeds lie
 * close together, hence the mixing.
 *
 * The back-off ends at 5 s, the usual beat interval: once a registry returns, every instance has
 * asked it within one interval. So the last step spreads downwards only.
 */
#include "beat/jitter.h"

#define BACKOFF_MIN_MS 1000u
#define BACKOFF_MAX_MS 5000u
#define N_DOUBLINGS 3u /* the first step that passes the cap */

uint32_t jitter_seed(uint32_t number)
{
	number = (number ^ (number >> 16)) * 0x85ebca6bu;
	number = (number ^ (number >> 13)) * 0xc2b2ae35u;
	number ^= number >> 16;
	return number ? number : 1; /* xorshift never leaves 0 */
}

uint32_t jitter_upto(uint32_t *seed, uint32_t span)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return (uint32_t)((*seed * ((uint64_t)span + 1)) >> 32);
}

uint32_t jitter_backoff_ms(uint32_t *seed, uint32_t n_failures)
{
	uint32_t step = n_failures <= N_DOUBLINGS ? BACKOFF_MIN_MS << (n_failures - 1)
						  : BACKOFF_MAX_MS;
	uint32_t low = step / 10 * 8;
	uint32_t high = step / 10 * 12;

	if (high > BACKOFF_MAX_MS)
		high = BACKOFF_MAX_MS;
	return low + jitter_upto(seed, high - low);
}
