/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_ANSWER_H
#define BEAT_ANSWER_H

#include <stdint.h>

#include "beat/machine.h"

/* For machine_reply() alone: the request is in flight no more, and its outcome is this. */
void answer_beat(struct machine *m, enum machine_request request, enum machine_outcome outcome,
		 uint32_t interval_ms, uint64_t now_ms);
void answer_post(struct machine *m, enum machine_outcome outcome, uint64_t now_ms);
void answer_delete(struct machine *m, enum machine_outcome outcome, uint64_t now_ms);
/* MACHINE_AGAIN to any of them. */
void answer_again(struct machine *m, enum machine_request request, uint64_t now_ms);

/* Steps that both halves take; defined in machine.c. */
uint32_t machine_interval_ms(const struct machine *m); /* from beat to beat */
void machine_become_registering(struct machine *m, uint64_t post_due_ms);
void machine_become_up(struct machine *m, uint64_t now_ms);
void machine_become_gone(struct machine *m);

#endif
