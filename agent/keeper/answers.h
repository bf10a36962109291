/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_ANSWERS_H
#define KEEPER_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/channel.h"

#define ANSWERS_MAX 4096u

/* Messages for the agent that its socket has no room for yet, in order. */
struct answers {
	struct channel_msg waiting[ANSWERS_MAX];
	uint32_t first;
	uint32_t n_waiting;
};

static inline bool answers_full(const struct answers *a)
{
	return a->n_waiting == ANSWERS_MAX;
}

static inline void answers_clear(struct answers *a)
{
	a->first = 0;
	a->n_waiting = 0;
}

/* Must not be full. */
void answers_push(struct answers *a, const struct channel_msg *msg);
/* Sends what the (non-blocking) socket takes. 0: all; -EAGAIN: not all; or a negative errno. */
int answers_send(struct answers *a, int sock);

#endif
