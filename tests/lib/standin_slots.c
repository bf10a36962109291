/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/standin_slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "segment/decode.h"
#include "segment/status_line.h"

int standin_slots_init(struct standin_slots *s, uint32_t n_slots)
{
	int r;

	*s = (struct standin_slots){ .memory = MEMORY_NULL, .next_generation = 7 };
	r = memory_create(&s->memory, n_slots);
	if (r < 0)
		return r;
	s->slots = calloc(n_slots, sizeof(s->slots[0]));
	if (!s->slots) {
		memory_deinit(&s->memory);
		return -ENOMEM;
	}
	s->next[ONEBEAT_CLASS_LARGE] = s->memory.n_small;
	s->n_left[ONEBEAT_CLASS_SMALL] = s->memory.n_small;
	s->n_left[ONEBEAT_CLASS_LARGE] = s->memory.n_large;
	return 0;
}

void standin_slots_deinit(struct standin_slots *s)
{
	for (uint32_t i = 0; s->slots && i < memory_n_slots(&s->memory); i++)
		descriptor_unref(s->slots[i].descriptor);
	free(s->slots);
	s->slots = NULL;
	memory_deinit(&s->memory);
}

bool standin_slots_grant(struct standin_slots *s, int lease, enum onebeat_class class,
			 struct onebeat_grant *out)
{
	struct standin_slot *slot;

	out->slot = ONEBEAT_NO_SLOT;
	out->generation = 0;
	out->class = class;
	out->version = 0;
	if (s->n_left[class] == 0 ||
	    memory_slot_open(&s->memory, s->next[class], s->next_generation) < 0)
		return false;
	s->n_left[class]--;
	out->slot = s->next[class]++;
	out->generation = s->next_generation++;
	slot = &s->slots[out->slot];
	slot->granted = true;
	slot->generation = out->generation;
	slot->lease = lease;
	return true;
}

void standin_slots_publish(struct standin_slots *s, struct onebeat_grant *grant,
			   const uint32_t *payload, uint32_t length)
{
	memory_publish(&s->memory, grant->slot, grant->generation, payload, length);
	grant->version = 1;
	(void)standin_slots_look(s, grant->slot);
}

void standin_slots_judge(struct standin_slots *s, uint32_t slot, enum onebeat_state state,
			 uint32_t code, const char *text)
{
	const struct standin_slot *sl = &s->slots[slot];
	struct status_line line = {
		.state = (uint32_t)state,
		.code = code,
		.judged = sl->version,
		.since_ms = (uint32_t)clock_now_ms(),
		.holders = 1,
		.ip = sl->descriptor && sl->descriptor->ip[0] ? sl->descriptor->ip : "192.0.2.1",
		.text = text,
	};
	struct onebeat_status_line *at = memory_line(&s->memory, slot);

	line.confirmed = state == ONEBEAT_STATE_UP || state == ONEBEAT_STATE_DOWN ||
					 state == ONEBEAT_STATE_GONE
				 ? sl->version
				 : atomic_load_explicit(&at->confirmed, memory_order_relaxed);
	status_line_write(at, sl->generation, &line);
}

static void judge(struct standin_slots *s, uint32_t slot)
{
	const struct standin_slot *sl = &s->slots[slot];

	if (s->verdict == STANDIN_SILENT)
		return;
	if (sl->op == ONEBEAT_OP_WITHDRAW)
		standin_slots_judge(s, slot, ONEBEAT_STATE_GONE, 200, "");
	else if (s->verdict == STANDIN_REFUSE)
		standin_slots_judge(s, slot, ONEBEAT_STATE_REFUSED, STANDIN_REFUSAL_CODE,
				    STANDIN_REFUSAL);
	else
		standin_slots_judge(s, slot,
				    sl->descriptor->enabled ? ONEBEAT_STATE_UP : ONEBEAT_STATE_DOWN,
				    200, "");
}

static bool spoilt(struct standin_slots *s, const char *why)
{
	s->n_invalid++;
	snprintf(s->why, sizeof(s->why), "%s", why);
	return false;
}

bool standin_slots_look(struct standin_slots *s, uint32_t slot)
{
	struct standin_slot *sl = &s->slots[slot];
	struct descriptor *descriptor = NULL;
	bool first = sl->version == 0;
	char why[DECODE_WHY_MAX];
	struct drain_copy copy;
	int r;

	if (!sl->granted)
		return false;
	r = drain_read(&s->memory, slot, sl->generation, sl->version, &copy);
	if (r == DRAIN_INVALID)
		return spoilt(s, copy.why);
	if (r != DRAIN_READY)
		return false;
	if (copy.op == ONEBEAT_OP_LIVE &&
	    decode_descriptor(copy.payload, copy.length, &descriptor, why) < 0)
		return spoilt(s, why);
	if (sl->op == ONEBEAT_OP_WITHDRAW)
		return spoilt(s, "written after its withdrawal");
	if (descriptor) {
		descriptor_unref(sl->descriptor);
		sl->descriptor = descriptor;
	}
	sl->version = copy.version;
	sl->op = copy.op;
	sl->n_versions++;
	judge(s, slot);
	return first;
}
