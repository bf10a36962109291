/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_MESSAGES_H
#define ONEBEAT_MESSAGES_H

#include "handle.h"

/* Takes in all that the agent has sent, without waiting. Detaches when the lease is at its end. */
void onebeat__messages_take(struct onebeat *ob);
/* Tells the agent that the end which follows is meant. */
void onebeat__messages_goodbye(struct onebeat *ob);

#endif
