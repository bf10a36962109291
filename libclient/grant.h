/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_GRANT_H
#define ONEBEAT_GRANT_H

#include "handle.h"

/* A grant has come, by itself or in answer. */
void onebeat__grant_take(struct onebeat *ob, const struct onebeat_grant *g);
/* The agent has refused a wish; text is NUL-terminated. */
void onebeat__grant_refused(struct onebeat *ob, uint32_t cookie, const char *text);
/* Gives an instance what it needs, as far as possible without waiting: slot, publication, withdrawal, ASK. */
void onebeat__grant_serve(struct onebeat *ob, struct onebeat_instance *inst);
/* The instance is over: its place in the table is free. */
void onebeat__grant_forget(struct onebeat_instance *inst);
/* The lease is gone, and all grants with it. */
void onebeat__grant_forget_all(struct onebeat *ob);

/* The instance's descriptor has changed. */
static inline void grant_changed(struct onebeat_instance *inst)
{
	inst->dirty = true;
	inst->changed = true;
	if (!inst->cookie)
		inst->ask_due_ms = 0;
	atomic_store_explicit(&inst->refused, 0, memory_order_relaxed);
}

#endif
