/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_RATE_H
#define SEGMENT_RATE_H

/*
 * So much a second: a bucket that fills with time and holds one second's worth
 *
 * It may go into debt by what one act turned out to cost: then nothing is left until the debt is paid.
 * The time is the caller's, in milliseconds.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define RATE_STEP_MS \
	10u /* whoever waits for the bucket waits at least so long: not a wake-up a token */

struct rate {
	uint32_t per_second; /* 0: without limit */
	uint64_t filled_ms;  /* up to here time has been turned into tokens */
	int64_t thousandths; /* of a token */
};

static inline void rate_init(struct rate *r, uint32_t per_second, uint64_t now_ms)
{
	*r = (struct rate){ .per_second = per_second,
			    .filled_ms = now_ms,
			    .thousandths = (int64_t)per_second * 1000 };
}

/* Is anything left? */
static inline bool rate_left(struct rate *r, uint64_t now_ms)
{
	const int64_t full = (int64_t)r->per_second * 1000;
	uint64_t passed_ms = now_ms - r->filled_ms;

	if (r->per_second == 0)
		return true;
	if (passed_ms > 0) {
		r->filled_ms = now_ms;
		if (passed_ms > 100000)
			r->thousandths = full;
		else
			r->thousandths += (int64_t)passed_ms * r->per_second;
		if (r->thousandths > full)
			r->thousandths = full;
	}
	return r->thousandths >= 1000;
}

static inline void rate_take(struct rate *r, uint32_t n)
{
	if (r->per_second > 0)
		r->thousandths -= (int64_t)n * 1000;
}

/* When there is something again, counted from now_ms, at which rate_left() was false. */
static inline uint64_t rate_due_ms(const struct rate *r, uint64_t now_ms)
{
	uint64_t wait_ms = (uint64_t)(1000 - r->thousandths) / r->per_second + 1;

	return now_ms + (wait_ms > RATE_STEP_MS ? wait_ms : RATE_STEP_MS);
}

#endif
