/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_UPGRADE_H
#define KEEPER_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper/child.h"
#include "keeper/keeper.h"
#include "keeper/probe.h"
#include "keeper/runtime_dir.h"
#include "keeper/state.h"

#define UPGRADE_YIELD_MS 2000u  /* for the old agent to end by itself */
#define UPGRADE_READY_MS 30000u /* for an agent to adopt and be ready */

enum upgrade_phase {
	UPGRADE_NONE,
	UPGRADE_PROBE, /* the installed program is asked */
	UPGRADE_YIELD, /* the running agent ends */
	UPGRADE_TRY,   /* an agent of the new program is to become ready */
	UPGRADE_UNDO   /* it did not, or we could not follow: back to an agent of our own program */
};

/* One change of program, as onebeatctl asks for it. Pointers are the keeper's. */
struct upgrade {
	const struct keeper_options *options;
	const struct runtime_dir *dir;
	struct child *child;
	enum upgrade_phase phase;
	struct probe probe;
	int tool_fd; /* who waits for the answer; -1 */
	uint64_t due_ms;
	pid_t from_pid;
	char version[PROBE_VERSION_MAX];
	char why[PROBE_WHY_MAX];
};

#define UPGRADE_NULL                                                     \
	{                                                                \
		.probe = PROBE_NULL, .tool_fd = -1, .due_ms = UINT64_MAX \
	}

void upgrade_deinit(struct upgrade *u);
/* Somebody who may asks for it and waits at tool_fd (taken over). */
void upgrade_ask(struct upgrade *u, int tool_fd);
/* A child of ours has ended: true when it was the probe. */
bool upgrade_reap(struct upgrade *u, pid_t pid, int how);
/* The agent has ended, and child_died() was told. */
void upgrade_agent_died(struct upgrade *u);
/* Goes on with what can go on. On success of all it does not return: the new program runs. */
void upgrade_turn(struct upgrade *u, uint64_t now_ms);
/* When upgrade_turn() is to be called at the latest. */
uint64_t upgrade_due_ms(const struct upgrade *u);
/* The keeper ends, or the agent leaves: nothing will come of it. */
void upgrade_abandon(struct upgrade *u, const char *why);
/* In the new program: tells who waits. */
void upgrade_done(struct upgrade *u, const struct state_head *from);

#endif
