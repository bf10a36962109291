/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_CHILD_H
#define KEEPER_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper/answers.h"
#include "keeper/holdings.h"
#include "keeper/restart.h"

/* The agent as the keeper sees it: a process, the channel to it, and what is held for it. */
struct child {
	const char *program;
	char *const *argv;
	sigset_t mask;  /* signal mask it is started with */
	int clients_fd; /* the caller's, inherited; so is control_fd */
	int control_fd;

	pid_t pid; /* 0: none */
	int link;  /* our end of the channel; -1: none */
	struct answers answers;
	struct holdings held;
	struct restart restart;
	uint64_t started_ms;
	uint64_t ready_ms;     /* 0: not yet */
	uint64_t start_due_ms; /* CLOCK_NEVER: there is one */
	uint32_t n_restarts;
	bool left; /* it has said that it leaves for good, with left_status */
	int left_status;
};

#define CHILD_NULL                                                         \
	{                                                                  \
		.link = -1, .held = HOLDINGS_NULL, .restart = RESTART_NULL \
	}

/* Closes the channel and all that is held. */
void child_deinit(struct child *c);

/* Starts it; what fails is logged, and start_due_ms says when to try again. */
void child_start(struct child *c);
/* Events to poll the link for. */
short child_events(const struct child *c);
/* Reads and answers. Afterwards link is -1 when the other end is closed. */
void child_talk(struct child *c);
/* Asks it to finish. */
void child_stop(struct child *c);
/* It has died (how: from waitpid). last: it is not to be started again. */
void child_died(struct child *c, int how, bool last);

#endif
