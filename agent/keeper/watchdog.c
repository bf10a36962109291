/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service manager's watchdog
 *
 * The manager restarts us when it hears nothing for WATCHDOG_USEC. It hears of us twice in that time, and only
 * while keeper and agent are both well: the keeper shows it by turning, the agent by answering a question that
 * goes through its watcher and its sender (a thread that hangs, and a process that is stopped, do not answer).
 *
 * An agent that has not answered by the next round is killed and another one adopts: that costs nobody
 * anything, while a restart by the manager takes the keeper's descriptors along unless they get into its store.
 * Only when no agent has come to work for WATCHDOG_GRACE rounds the manager is left without word and does what
 * it thinks best. So a hung agent is replaced within one WATCHDOG_USEC, and a host whose agent will not work
 * within less than three is restarted. Without a watchdog nobody is asked: who stops an agent to look at it
 * with a debugger may do so.
 */
#include "keeper/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

static unsigned long long number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	unsigned long long n;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? n : 0;
}

void watchdog_init(struct watchdog *w)
{
	unsigned long long usec = number("WATCHDOG_USEC");

	*w = (struct watchdog){ .due_ms = CLOCK_NEVER };
	if (getenv("WATCHDOG_PID") && number("WATCHDOG_PID") != (unsigned long long)getpid())
		return; /* somebody else's, inherited */
	w->half_ms = usec / 2000;
}

void watchdog_start(struct watchdog *w, uint64_t now_ms)
{
	if (w->half_ms > 0)
		w->due_ms = now_ms;
}

/* Nobody is there, or not yet ready. */
static unsigned int nobody(struct watchdog *w)
{
	w->whom = 0;
	w->answered = w->asked;
	if (++w->n_unwell <= WATCHDOG_GRACE)
		return WATCHDOG_PET;
	return w->n_unwell == WATCHDOG_GRACE + 1 ? WATCHDOG_TELL : 0;
}

unsigned int watchdog_round(struct watchdog *w, pid_t agent, bool answers, uint64_t now_ms)
{
	bool silent = w->whom == agent && watchdog_waits(w);

	w->due_ms = now_ms + w->half_ms;
	if (agent == 0)
		return nobody(w);
	if (answers && silent)
		return WATCHDOG_KILL | nobody(w);
	if (!answers) { /* of an earlier release: that it lives is all we know */
		w->n_unwell = 0;
		return WATCHDOG_PET;
	}
	/* A new one has shown nothing yet but that it became ready. */
	if (w->whom == agent)
		w->n_unwell = 0;
	w->whom = agent;
	w->asked++;
	return (w->n_unwell <= WATCHDOG_GRACE ? WATCHDOG_PET : 0u) | WATCHDOG_ASK;
}

void watchdog_answered(struct watchdog *w, uint64_t number)
{
	if (number == w->asked)
		w->answered = number;
}
