/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pacing
 *
 * A registry that restarted empty answers "unknown" to every beat within one period, and would get
 * all registrations within the next second. Whoever would be part of such a herd takes a turn here
 * first, and waits for it on the timing wheel: woken once, in the order of asking, and no queue is
 * kept. Turns that nobody took in time are lost, not saved up, so that a quiet minute earns no burst.
 *
 * A turn is given for good. Whoever does not use it (its instance left, its machine slept) leaves a
 * gap, which costs the others the hundredth part of a moment.
 *
 * One thread owns a pace. It reads no clock.
 */
#include "beat/pace.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

void pace_set(struct pace *pace, uint32_t per_second)
{
	pace->per_second = per_second;
}

uint64_t pace_turn(struct pace *pace, uint64_t now_ms)
{
	uint64_t now_ns = now_ms * NS_PER_MS;
	uint64_t turn_ns = pace->next_ns > now_ns ? pace->next_ns : now_ns;

	if (pace->per_second == 0)
		return now_ms;
	pace->next_ns = turn_ns + (NS_PER_S + pace->per_second - 1) / pace->per_second;
	return (turn_ns + NS_PER_MS - 1) / NS_PER_MS;
}
