/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_RELOAD_H
#define KEEPER_RELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper/child.h"

enum reload_phase {
	RELOAD_NONE,
	RELOAD_YIELD, /* the running agent ends */
	RELOAD_START  /* one with the new settings is to become ready */
};

/* One change of settings. child is the keeper's. */
struct reload {
	struct child *child;
	uint32_t wait_ms; /* for an agent to end, and for one to be ready; 0: as usual */
	enum reload_phase phase;
	bool wanted; /* SIGHUP has come: the agent is to be told */
	int tool_fd; /* who waits for the answer; -1: nobody */
	uint64_t due_ms;
	pid_t from_pid;
};

#define RELOAD_NULL                                 \
	{                                           \
		.tool_fd = -1, .due_ms = UINT64_MAX \
	}

/* Says why to who waits at *fd, and closes it. why has nothing that JSON would escape. */
void reload_turn_away(int *fd, const char *why);
void reload_deinit(struct reload *r);
/* The agent asks for it. busy: why not now; NULL. */
void reload_ask(struct reload *r, const char *busy);
/* The agent has ended, and child_died() was told. */
void reload_agent_died(struct reload *r);
/* Goes on with what can go on. */
void reload_turn(struct reload *r, bool busy, uint64_t now_ms);
/* When reload_turn() is to be called at the latest. */
uint64_t reload_due_ms(const struct reload *r);
/* The keeper ends, or the agent leaves: nothing will come of it. */
void reload_abandon(struct reload *r);

#endif
