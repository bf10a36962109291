/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_CONNECT_H
#define HTTP_BEAT_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "http/beat_state.h"

/* Begins to connect where beats wait. */
void beat_connect(struct beat_lane *lane);
/* May the node be given (more) work? A suspect gets one piece at a time. */
bool beat_connect_admits(const struct beat_lane *lane, uint32_t node);
/* Of a node, without the one aside. */
uint32_t beat_connect_count(const struct beat_lane *lane, uint32_t node,
			    enum beat_conn_state state);
/* To one node, ever, without the one aside. */
uint32_t beat_connect_most(const struct beat_lane *lane);
/* Was opened for a slow node, which is slow no more. */
bool beat_connect_spare(const struct beat_slot *slot);
/* A reply came, so long after the node had nothing else to do on the connection. */
void beat_connect_took(struct beat_lane *lane, uint32_t node, uint64_t ms);

#endif
