/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_ATTACH_H
#define ONEBEAT_ATTACH_H

#include "handle.h"

/*
 * Connects and says HELLO, when that is due; waits at most wait_ms for room in the agent's queue. 0, or
 * ONEBEAT_E_NO_AGENT, or ONEBEAT_E_SYSTEM with errno.
 */
int onebeat__attach(struct onebeat *ob, uint32_t wait_ms);
/* WELCOME has come with these files. False: they are no good, and the handle is detached. */
bool onebeat__attach_welcomed(struct onebeat *ob, int data_fd, int status_fd);
/* The lease is lost: every slot is given up, every instance remembered. Idempotent. */
void onebeat__detach(struct onebeat *ob);
/* The same, and no attempt to come back for a while: the agent is there and does not want us. */
void onebeat__detach_refused(struct onebeat *ob, int fault);

#endif
