/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_BACKLOG_H
#define SEGMENT_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

/* Slots that wait to be looked at: one bit each, private to the agent. */
struct backlog {
	uint32_t *words;
	uint32_t n_slots;
	uint32_t n_waiting;
	uint32_t next; /* the search goes on here */
};

/* 0 or -ENOMEM. */
int backlog_init(struct backlog *b, uint32_t n_slots);
void backlog_deinit(struct backlog *b);
/* A slot that waits already waits once. */
void backlog_add(struct backlog *b, uint32_t slot);
/* Takes the next one in turn. False: none waits. */
bool backlog_take(struct backlog *b, uint32_t *slot);

#endif
