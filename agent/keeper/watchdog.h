/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_WATCHDOG_H
#define KEEPER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WATCHDOG_GRACE 2u /* rounds without a working agent that the manager does not hear of */

/* What one round says is to be done. */
enum watchdog_act {
	WATCHDOG_PET = 1,  /* tell the manager that all is well */
	WATCHDOG_ASK = 2,  /* ask the agent, with asked */
	WATCHDOG_KILL = 4, /* the agent hangs */
	WATCHDOG_TELL = 8  /* from now on the manager is not told: say so */
};

/* Pure: times are passed in. */
struct watchdog {
	uint64_t half_ms; /* of what the manager grants; 0: it has no watchdog */
	uint64_t due_ms;
	uint64_t asked, answered; /* numbers of questions */
	pid_t whom;               /* who was asked last; 0: nobody */
	uint32_t n_unwell;        /* rounds in a row */
};

/* By WATCHDOG_USEC and WATCHDOG_PID. */
void watchdog_init(struct watchdog *w);
/* Starts the rounds, once the manager has been told that we are ready. */
void watchdog_start(struct watchdog *w, uint64_t now_ms);
/*
 * To be called when due. agent: the pid of one that is ready, else 0; answers: it knows the question. A set of
 * enum watchdog_act.
 */
unsigned int watchdog_round(struct watchdog *w, pid_t agent, bool answers, uint64_t now_ms);
void watchdog_answered(struct watchdog *w, uint64_t number);
/* An answer to the last question is still to come. */
static inline bool watchdog_waits(const struct watchdog *w)
{
	return w->asked != w->answered;
}

#endif
