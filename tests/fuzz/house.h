/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_HOUSE_H
#define TESTS_FUZZ_HOUSE_H

/*
 * A watcher with all that is around it, in one thread: its keeper (which holds what it is given, so that another
 * watcher can adopt it) and a sender that has every request answered well at once.
 */

#include "base/channel.h"
#include "base/manifest.h"
#include "beat/queue.h"
#include "segment/state.h"

#define HOUSE_N_SLOTS 16u
#define HOUSE_HELD_MAX 32u

struct house {
	char dir[48];
	int clients; /* listening, the house's own descriptor */
	int keeper;  /* its end of the link */
	struct dom2beat map;
	struct beat_queue to_sender, to_watcher;
	struct watcher *watcher;
	struct manifest_head manifest;
	struct manifest_entry entries[HOUSE_HELD_MAX + 2];
	struct manifest_entry held[HOUSE_HELD_MAX];
	uint32_t n_held;
	uint16_t hold_status; /* what the keeper answers to HOLD */
};

/* Once a process: folder, listening socket, map and queues. */
void house_build(struct house *h);
/* A first watcher, or one that adopts what the keeper holds. */
void house_start(struct house *h);
/* The same, where it may fail: what watcher_new() says, and nothing is left open then. */
int house_try(struct house *h);
/* The watcher ends as by a crash: nothing is undone. */
void house_crash(struct house *h);
/* Turns watcher, keeper and sender until none has anything to do for the others. */
void house_turn(struct house *h);
/* Everything is deregistered, and nothing may be left of it; then the watcher ends. */
void house_leave(struct house *h);
int house_connect(const struct house *h);

#endif
