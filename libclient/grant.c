/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants: from what is remembered to what is published
 *
 * Every instance is remembered with its descriptor, and onebeat__grant_serve() brings the shared memory nearer to
 * that, whatever the state of things: no agent, a new agent, a descriptor that has outgrown its slot, a slot
 * that comes long after the call that wanted it, an instance that was deregistered meanwhile.
 *
 * Answers find their instance by cookie. An agent that is killed between answering and noting it answers twice:
 * a grant of a slot that is in use is a repetition. A grant whose slot has been published and whose wish is
 * gone is withdrawn. One that nobody needs is kept, or dropped.
 *
 * Under the handle's lock. Publishing may find the lease lost and detach, so link and slot are looked at again
 * after it.
 */
#include "grant.h"

#include <string.h>

#include "ask.h"
#include "attach.h"
#include "clock.h"
#include <onebeat/crashpoint.h>
#include "publish.h"
#include "spare.h"

#define REFUSED_WAIT_MS 5000u /* before the same is asked again */

static uint32_t class_of_slot(const struct segment_map *map, uint32_t slot)
{
	return slot < map->n_small ? ONEBEAT_CLASS_SMALL : ONEBEAT_CLASS_LARGE;
}

/* Publishes, and detaches when that shows that the lease is lost. */
static void publish(struct onebeat *ob, struct place *place, const struct encoded *descriptor)
{
	if (onebeat__publish(ob, place, descriptor) < 0)
		onebeat__detach(ob);
}

static void withdraw(struct onebeat *ob, const struct onebeat_grant *g)
{
	struct place place;

	place_set(&place, g);
	publish(ob, &place, NULL);
}

void onebeat__grant_forget(struct onebeat_instance *inst)
{
	onebeat__ask_end(inst);
	place_clear(&inst->place);
	inst->used = false;
	inst->leaving = false;
}

/* It has a slot: publishes what is to be said there. One that has outgrown its slot says nothing yet. */
static void say(struct onebeat *ob, struct onebeat_instance *inst)
{
	if (inst->leaving) {
		publish(ob, &inst->place, NULL);
		ONEBEAT_CRASH_POINT("lib.leave.published");
		onebeat__grant_forget(inst);
		ONEBEAT_CRASH_POINT("lib.leave.forgotten");
	} else if (inst->dirty && encode_class(&inst->descriptor) <=
					  class_of_slot(&ob->map, place_slot(&inst->place))) {
		inst->dirty = false;
		inst->told = true;
		publish(ob, &inst->place, &inst->descriptor);
	}
}

/* Into its first slot, or over into a larger one. The new one speaks before the old one is withdrawn. */
static void move(struct onebeat *ob, struct onebeat_instance *inst, const struct onebeat_grant *g)
{
	const struct onebeat_grant old = {
		.slot = place_slot(&inst->place),
		.generation = atomic_load_explicit(&inst->place.generation, memory_order_relaxed),
		.version = atomic_load_explicit(&inst->place.version, memory_order_relaxed),
	};

	place_set(&inst->place, g);
	ONEBEAT_CRASH_POINT("lib.grant.placed");
	inst->dirty = g->version == 0 || inst->changed;
	if (g->version == 0 && g->class == ONEBEAT_CLASS_SMALL)
		onebeat__spare_expect(ob);
	say(ob, inst);
	ONEBEAT_CRASH_POINT("lib.grant.said");
	if (old.slot != ONEBEAT_NO_SLOT && handle_link(ob) == LINK_ATTACHED)
		withdraw(ob, &old);
}

void onebeat__grant_serve(struct onebeat *ob, struct onebeat_instance *inst)
{
	struct onebeat_grant g;

	if (!inst->used || handle_link(ob) == LINK_DETACHED)
		return;
	if (handle_is_placed(inst))
		say(ob, inst);
	if (!inst->used || (handle_is_placed(inst) && !inst->dirty) ||
	    handle_link(ob) == LINK_DETACHED)
		return;
	/* One that is leaving must be seen alive first, so that it takes the place of what an earlier lease left. */
	if (handle_link(ob) == LINK_ATTACHED && !inst->cookie && !inst->leaving &&
	    onebeat__spare_take(ob, encode_class(&inst->descriptor), &g))
		move(ob, inst, &g);
	else
		onebeat__ask_send(ob, inst);
}

static struct onebeat_instance *find_by_slot(struct onebeat *ob, const struct onebeat_grant *g)
{
	for (uint32_t i = 0; i < ob->n_instances; i++) {
		if (ob->instances[i].used &&
		    place_is(&ob->instances[i].place, g->slot, g->generation))
			return &ob->instances[i];
	}
	return NULL;
}

/* The slot is in use: a repetition, unless it answers somebody else, who then must ask again. */
static void take_repeated(struct onebeat_instance *user, struct onebeat_instance *wisher)
{
	if (!wisher || wisher == user)
		return;
	onebeat__ask_unanswered(wisher);
	user->dirty = true; /* its block may have been overwritten */
}

void onebeat__grant_take(struct onebeat *ob, const struct onebeat_grant *g)
{
	struct onebeat_instance *wisher = onebeat__ask_find(ob, g->cookie);
	struct onebeat_instance *user;

	ONEBEAT_CRASH_POINT("lib.grant.received");
	if (g->slot >= segment_map_n_slots(&ob->map) ||
	    g->class != class_of_slot(&ob->map, g->slot))
		return;
	user = find_by_slot(ob, g);
	if (user) {
		take_repeated(user, wisher);
		return;
	}
	onebeat__spare_drop_slot(ob, g->slot);
	if (wisher) {
		onebeat__ask_end(wisher);
		move(ob, wisher, g);
	} else if (g->version == 0) {
		onebeat__spare_keep(ob, g);
	} else {
		withdraw(ob, g);
	}
}

void onebeat__grant_refused(struct onebeat *ob, uint32_t cookie, const char *text)
{
	struct onebeat_instance *inst = onebeat__ask_find(ob, cookie);
	uint32_t words[ONEBEAT_STATUS_TEXT_WORDS] = { 0 };

	if (!inst)
		return;
	onebeat__ask_end(inst);
	ONEBEAT_CRASH_POINT("lib.grant.refused");
	if (inst->leaving) {
		onebeat__grant_forget(inst);
		return;
	}
	memcpy(words, text, strnlen(text, sizeof(words) - 1));
	for (uint32_t i = 0; i < ONEBEAT_STATUS_TEXT_WORDS; i++)
		atomic_store_explicit(&inst->why[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&inst->refused, 1, memory_order_release);
	inst->ask_due_ms = clock_now_ms() + REFUSED_WAIT_MS;
}

void onebeat__grant_forget_all(struct onebeat *ob)
{
	for (uint32_t i = 0; i < ob->n_instances; i++) {
		struct onebeat_instance *inst = &ob->instances[i];

		place_clear(&inst->place);
		onebeat__ask_end(inst);
		inst->dirty = true;
		inst->ask_due_ms = 0;
	}
	onebeat__spare_drop_all(ob);
}
