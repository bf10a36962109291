/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_MACHINE_SCRIPT_H
#define LIB_MACHINE_SCRIPT_H

/*
 * Scripts for the instance state machine
 *
 * What the host wants, what is asked of the registry, what it answers, what falls due when, on a
 * clock that the script moves. Every script is played with many seeds, so that a bound on a delay
 * holds for all of its jitter.
 */

#include <stdbool.h>
#include <stdint.h>

#include "beat/machine.h"

#define SCRIPT_START_MS 1000000u
#define SCRIPT_PERIOD_MS 5000u
#define SCRIPT_SPREAD_MS 3000u /* of adopted instances */

enum machine_script_op {
	SCRIPT_END,
	SCRIPT_WANT,
	SCRIPT_WANT_PERSISTENT,
	SCRIPT_LEAVE,
	SCRIPT_FORGET,
	SCRIPT_HOLD,
	SCRIPT_PACE,
	SCRIPT_PAST_DUE,
	SCRIPT_ADOPT,
	SCRIPT_ADOPT_PERSISTENT,
	SCRIPT_TAKE,
	SCRIPT_TAKE_WHEN_DUE,
	SCRIPT_REPLY,
	SCRIPT_REPLY_STALE,
	SCRIPT_REMEMBER,
	SCRIPT_AFTER,
	SCRIPT_STATE,
	SCRIPT_DUE,
	SCRIPT_ACKED,
	SCRIPT_REJECTED,
};

struct machine_script_step {
	enum machine_script_op op;
	uint32_t a, b, c, d;
};

#define STEP(op, a, b, c, d) ((struct machine_script_step){ op, a, b, c, d })

/* The vocabulary of the scripts. Times are in ms, and relative to the script's clock. */
#define WANT(version) STEP(SCRIPT_WANT, version, SCRIPT_PERIOD_MS, MACHINE_LIGHT, 0)
#define WANT_EVERY(version, period_ms) STEP(SCRIPT_WANT, version, period_ms, MACHINE_LIGHT, 0)
#define WANT_FULL(version) STEP(SCRIPT_WANT, version, SCRIPT_PERIOD_MS, MACHINE_FULL, 0)
#define WANT_PERSISTENT(version) \
	STEP(SCRIPT_WANT_PERSISTENT, version, SCRIPT_PERIOD_MS, MACHINE_PERSISTENT, 0)
#define FORGET STEP(SCRIPT_FORGET, 0, 0, 0, 0)
/* What is due now needs this pace; it gets its turn so many ms ahead. */
#define PACE(pace) STEP(SCRIPT_PACE, MACHINE_##pace, 0, 0, 0)
#define HOLD(ms) STEP(SCRIPT_HOLD, ms, 0, 0, 0)
#define LEAVE STEP(SCRIPT_LEAVE, 0, 0, 0, 0)
#define ADOPT(posted, acked, deleted, want) STEP(SCRIPT_ADOPT, posted, acked, deleted, want)
#define ADOPT_PERSISTENT(posted, acked, deleted, want) \
	STEP(SCRIPT_ADOPT_PERSISTENT, posted, acked, deleted, want)
/* For ADOPT: the journal has the beat's time, so many ms ahead or ago. Else it has none. */
#define DUE_AHEAD(ms) STEP(SCRIPT_PAST_DUE, SCRIPT_START_MS, ms, 0, 0)
#define DUE_AGO(ms) STEP(SCRIPT_PAST_DUE, SCRIPT_START_MS - (ms), 0, 0, 0)
#define TAKE(request) STEP(SCRIPT_TAKE, MACHINE_##request, 0, 0, 0)
/* Goes on to when something is due, and checks that it is this. */
#define TAKE_WHEN_DUE(request) STEP(SCRIPT_TAKE_WHEN_DUE, MACHINE_##request, 0, 0, 0)
#define REPLY(outcome) STEP(SCRIPT_REPLY, MACHINE_##outcome, 0, 0, 0)
#define REPLY_INTERVAL(outcome, interval_ms) \
	STEP(SCRIPT_REPLY, MACHINE_##outcome, interval_ms, 0, 0)
/* The reply to the request taken before REMEMBER, which was overtaken: nothing may change. */
#define REMEMBER STEP(SCRIPT_REMEMBER, 0, 0, 0, 0)
#define REPLY_STALE(outcome) STEP(SCRIPT_REPLY_STALE, MACHINE_##outcome, 0, 0, 0)
#define AFTER(ms) STEP(SCRIPT_AFTER, ms, 0, 0, 0)
#define STATE(state) STEP(SCRIPT_STATE, MACHINE_##state, 0, 0, 0)
#define DUE(from_ms, to_ms) STEP(SCRIPT_DUE, from_ms, to_ms, 0, 0)
#define DUE_NOW DUE(0, 0)
/* Of a persistent instance that is up: posted again from time to time. */
#define DUE_SELDOM DUE(540000, 600000)
#define DUE_NEVER STEP(SCRIPT_DUE, UINT32_MAX, UINT32_MAX, 0, 0)
#define ACKED(version) STEP(SCRIPT_ACKED, version, 0, 0, 0)
#define REJECTED(version) STEP(SCRIPT_REJECTED, version, 0, 0, 0)

/* An instance whose version was acknowledged now. */
#define UP_IN(version) WANT(version), TAKE(POST), REPLY(OK)

#define PLAY(...)            \
	machine_script_play( \
		(const struct machine_script_step[]){ __VA_ARGS__, STEP(SCRIPT_END, 0, 0, 0, 0) })

/* Fails the Criterion test that calls it, telling step and seed. */
void machine_script_play(const struct machine_script_step *steps);

/* Whether two machines will do the same for ever. */
bool machine_script_same(const struct machine *a, const struct machine *b);

#endif
