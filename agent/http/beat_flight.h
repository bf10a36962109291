/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_FLIGHT_H
#define HTTP_BEAT_FLIGHT_H

#include <stdint.h>

#include "http/beat_state.h"
#include "http/framing.h"

/* Each takes the beat over: it ends (the lane's done is called), or is queued for another node. */

/* A whole reply came from beat->node. */
void beat_flight_answered(struct beat_lane *lane, struct beat_record *beat,
			  const struct framing_reply *reply);
/* beat->node did not answer it, or cannot be asked now. */
void beat_flight_failed(struct beat_lane *lane, struct beat_record *beat, const char *why);
/* No other node is asked. */
void beat_flight_given_up(struct beat_lane *lane, struct beat_record *beat, const char *why);

/* The node has failed: whatever waits for it goes elsewhere. */
void beat_flight_divert(struct beat_lane *lane, uint32_t node);

#endif
