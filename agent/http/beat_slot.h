/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_SLOT_H
#define HTTP_BEAT_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "http/beat_state.h"

/* The slot must not move. 0 or -ENOMEM. */
int beat_slot_init(struct beat_slot *slot, struct beat_lane *lane, uint32_t node);
/* Drops what is in flight. */
void beat_slot_deinit(struct beat_slot *slot);

/* Begins to connect; a connection that cannot even begin counts as refused. */
void beat_slot_open(struct beat_slot *slot);
/* Open, and may take another request. */
bool beat_slot_has_room(const struct beat_slot *slot);
/* Takes the beat over; beat_slot_push() writes it. */
void beat_slot_hand(struct beat_slot *slot, struct beat_record *beat);
void beat_slot_push(struct beat_slot *slot);
/* Sends what is in flight elsewhere: its node cannot be asked now. The slot is closed. */
void beat_slot_abandon(struct beat_slot *slot, const char *why);

void beat_slot_tick(struct beat_slot *slot);
uint64_t beat_slot_due_ms(const struct beat_slot *slot);

/* beat_lane.c: the end of a slot's turn; beats are handed out anew. */
void beat_lane_turned(struct beat_slot *slot);

#endif
