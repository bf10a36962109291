/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_PUMP_H
#define ONEBEAT_PUMP_H

#include "handle.h"

/* One round, without waiting: attaches if that is due, takes messages in, serves every instance. */
void onebeat__pump(struct onebeat *ob);

/* inst may be NULL, and may be gone when this is called. */
typedef bool (*pump_done)(const struct onebeat *ob, const struct onebeat_instance *inst);

/* Rounds until done, or no agent is there, or the time is over. The lock is let go while it sleeps. */
void onebeat__pump_until(struct onebeat *ob, uint64_t deadline_ms, pump_done done,
			 const struct onebeat_instance *inst);
/* Sleeps without the lock, until the agent sends something or the time is over. */
void onebeat__pump_sleep(struct onebeat *ob, uint32_t time_ms);

#endif
