/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_ASK_H
#define ONEBEAT_ASK_H

#include "handle.h"

/* An instance that an agent should know, for HELLO to carry; NULL: none. */
struct onebeat_instance *onebeat__ask_first(struct onebeat *ob);
/* The instance's descriptor goes to the agent now. The cookie that the answer will have. */
uint32_t onebeat__ask_begin(struct onebeat_instance *inst);
/* It is answered, or will never be. Idempotent. */
void onebeat__ask_end(struct onebeat_instance *inst);
/* It was answered without a slot and without a refusal: asked again at once. */
void onebeat__ask_unanswered(struct onebeat_instance *inst);
/* Sends an ASK for the instance, if that is due. Detaches when the lease is lost. */
void onebeat__ask_send(struct onebeat *ob, struct onebeat_instance *inst);
/* The instance that waits for this answer; NULL: none. */
struct onebeat_instance *onebeat__ask_find(struct onebeat *ob, uint32_t cookie);

#endif
