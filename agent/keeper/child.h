/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_CHILD_H
#define KEEPER_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "keeper/answers.h"
#include "keeper/holdings.h"
#include "keeper/restart.h"

/* The agent as the keeper sees it: a process, the channel to it, and what is held for it. */
struct child {
	const char *program;
	const char *own_image; /* the program that the keeper itself is; NULL */
	bool use_own;          /* start that one: the installed one did not do */
	char *const *argv;
	sigset_t mask;  /* signal mask it is started with */
	int clients_fd; /* the caller's, inherited; so is control_fd */
	int control_fd;

	pid_t pid; /* 0: none */
	int link;  /* our end of the channel; -1: none */
	struct answers answers;
	uint64_t answers_due_ms; /* they are not sent before; CLOCK_NEVER: as soon as there is room */
	struct holdings held;
	struct restart restart;
	uint64_t started_ms;
	uint64_t ready_ms;     /* 0: not yet */
	uint64_t start_due_ms; /* CLOCK_NEVER: there is one */
	uint32_t n_restarts;
	uint64_t can;      /* CHANNEL_CAN_...: what it knows */
	bool start_failed; /* the last start came to nothing */
	bool yields;       /* its end is wanted, and another follows at once */
	uint64_t alive;    /* number of the last question that it has answered */
	int asks_fd;       /* it brings somebody who asks for an upgrade; -1 */
	bool asks_reload;  /* it asks for another agent with new settings */
	int reload_fd;     /* who waits for that; -1: nobody */
	bool left;         /* it has said that it leaves for good, with left_status */
	int left_status;
};

#define CHILD_NULL                                                                \
	{                                                                         \
		.link = -1, .answers_due_ms = CLOCK_NEVER, .held = HOLDINGS_NULL, \
		.restart = RESTART_NULL, .asks_fd = -1, .reload_fd = -1           \
	}

/* Exit status of an agent that does not understand its keeper's manifest: another release's program. */
#define CHILD_OTHER_VERSION 3
/* In its environment while the keeper's own program could follow on one that says so. */
#define CHILD_MAY_DECLINE "ONEBEAT_AGENT_MAY_DECLINE"

/* Closes the channel and all that is held. */
void child_deinit(struct child *c);

/* Starts it; what fails is logged, and start_due_ms says when to try again. */
void child_start(struct child *c);
/* Events to poll the link for. */
short child_events(const struct child *c);
/* Reads and answers. Afterwards link is -1 when the other end is closed. */
void child_talk(struct child *c);
/* Sends what could not be sent and is due. */
void child_turn(struct child *c, uint64_t now_ms);
/* Asks it to finish. */
void child_stop(struct child *c);
/* Asks whether it is at work. */
void child_ask(struct child *c, uint64_t number);
/* Asks it to read its configuration anew. False: it could not understand. */
bool child_reread(struct child *c);
/* Asks it to make way for another, which is started as soon as it has ended. */
void child_yield(struct child *c);
/* It has died (how: from waitpid). last: it is not to be started again. */
void child_died(struct child *c, int how, bool last);

#endif
