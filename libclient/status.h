/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_STATUS_H
#define ONEBEAT_STATUS_H

#include "handle.h"

/* What can be said of an instance at one moment. */
struct status_view {
	uint32_t state; /* enum onebeat_state */
	uint32_t code;
	uint32_t judged;
	bool current;     /* state and judged are the agent's, of this grant */
	bool confirmed;   /* the registry has confirmed what was written last */
	uint32_t version; /* ours */
	uint32_t since_ms;
	uint32_t beat_ms; /* 0: none */
	uint32_t holders;
	uint32_t ip[ONEBEAT_STATUS_IP_WORDS];
	uint32_t text[ONEBEAT_STATUS_TEXT_WORDS];
	const onebeat_word *futex; /* NULL: nothing to sleep on */
	uint32_t futex_value;      /* as it was before the rest was read */
};

/* Takes no lock; any thread, forked children too. */
void onebeat__status_look(const struct onebeat_instance *inst, struct status_view *out);

#endif
