/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_CHOICE_H
#define NACOS_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "nacos/api.h"

/* Which API a registry is spoken to in. */
struct nacos_choice {
	enum nacos_version version;
	bool fixed;            /* by configuration */
	uint32_t hold_ms;      /* how long the last move was to be kept, whatever came */
	uint64_t moved_ms;     /* when that was; 0: never */
	uint64_t next_move_ms; /* not before */
};

/* The first choice, or, when it is fixed, the only one. */
void nacos_choice_init(struct nacos_choice *choice, enum nacos_version first, bool fixed);

enum nacos_advice {
	NACOS_ASK_AGAIN, /* at once, in what is spoken now */
	NACOS_MOVED,     /* the same, and it is this answer that changed the choice */
	NACOS_WAIT       /* there is nothing better to ask now */
};

/* A server has answered a request in this version that it does not speak it (NACOS_NO_API). */
enum nacos_advice nacos_choice_no_api(struct nacos_choice *choice, enum nacos_version asked,
				      uint64_t now_ms);

#endif
