/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_PLACE_H
#define HTTP_BEAT_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/beat_state.h"

/* A flushed beat: into the queue that it is to be sent from. False: it ends, for its node cannot be asked. */
bool beat_place(struct beat_lane *lane, struct beat_record *beat);
/* It is to be sent to this node next. */
void beat_place_at(struct beat_lane *lane, struct beat_record *beat, uint32_t node);
/* The next one for a slot; NULL: none. */
struct beat_record *beat_place_take(struct beat_slot *slot);
/* The server that does this beat's work was long in answering, or answered 5xx. */
void beat_place_slow(struct beat_lane *lane, const struct beat_record *beat);
/* The first of those who have waited too long; NULL: none. */
struct beat_record *beat_place_overdue(struct beat_waiting *waiting, uint64_t now_ms);

#endif
