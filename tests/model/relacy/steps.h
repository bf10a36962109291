/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_STEPS_H
#define MODEL_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the scenarios do with the product's own functions. A slot has one writer at a time. */

#define STEPS_SLOTS 2

/* Two ranges of addresses stand for DATA and STATUS; nothing is ever stored in them. */
void steps_begin(uint8_t *data, uint8_t *status);
/* Is this one of the words that the scenarios use? Others of the two ranges are 0 for ever. */
bool steps_is_modelled(const void *at);

/* onebeat__publish() of the slot's next version, whose payload says which version of which slot it is. */
void steps_publish(uint32_t slot);
uint32_t steps_published(uint32_t slot);
/* Bytes that the writers have sent over their leases. */
uint32_t steps_n_rung(void);

enum steps_answer {
	STEPS_SAME,
	STEPS_READY,
	STEPS_UNSTABLE,
	STEPS_INVALID, /* a block that no honest writer has written */
	STEPS_FOREIGN  /* a valid block that does not say what its version says */
};

/* drain_read() of what is newer than the version that was seen last. */
enum steps_answer steps_read(uint32_t slot);
uint32_t steps_seen(uint32_t slot);
/* drain_dirty(), which reads each slot that it is told of. The worst of the answers. */
enum steps_answer steps_drain(void);
void steps_say_sleeping(void);
bool steps_pending(void);

#ifdef __cplusplus
}
#endif

#endif
