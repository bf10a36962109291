/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for a slot
 *
 * HELLO and ASK carry the descriptor, and the agent publishes it: so a program that is told "recorded" and never
 * calls again is registered all the same. A cookie joins question and answer. It stays the same when the question
 * is repeated, so that the first answer counts, whichever question it is for.
 *
 * Questions are repeated because an answer may be lost: the agent drops what does not fit into our socket. For
 * the same reason no more are asked at once than the answers have room for.
 */
#include "ask.h"

#include <errno.h>
#include <string.h>

#include "attach.h"
#include "clock.h"
#include <onebeat/crashpoint.h>
#include "spare.h"

#define AGAIN_MS 1000u
#define UNANSWERED_MAX 128u

struct onebeat_instance *onebeat__ask_first(struct onebeat *ob)
{
	for (uint32_t i = 0; i < ob->n_instances; i++) {
		if (ob->instances[i].used)
			return &ob->instances[i];
	}
	return NULL;
}

struct onebeat_instance *onebeat__ask_find(struct onebeat *ob, uint32_t cookie)
{
	for (uint32_t i = 0; cookie && i < ob->n_instances; i++) {
		if (ob->instances[i].used && ob->instances[i].cookie == cookie)
			return &ob->instances[i];
	}
	return NULL;
}

static uint32_t new_cookie(struct onebeat *ob)
{
	if (++ob->last_cookie == 0)
		ob->last_cookie = 1;
	return ob->last_cookie;
}

uint32_t onebeat__ask_begin(struct onebeat_instance *inst)
{
	struct onebeat *ob = inst->ob;

	if (inst->cookie) {
		/* A lost answer may have named a spare one: they are not to be trusted any more. */
		onebeat__spare_drop_class(ob, inst->ask_class);
		ob->n_asked[inst->ask_class]--;
	} else {
		inst->cookie = new_cookie(ob);
		inst->changed = false;
		inst->waited = false;
	}
	inst->ask_class = encode_class(&inst->descriptor);
	ob->n_asked[inst->ask_class]++;
	inst->ask_due_ms = clock_now_ms() + AGAIN_MS;
	inst->told = true;
	atomic_store_explicit(&inst->refused, 0, memory_order_relaxed);
	return inst->cookie;
}

void onebeat__ask_end(struct onebeat_instance *inst)
{
	if (inst->cookie)
		inst->ob->n_asked[inst->ask_class]--;
	inst->cookie = 0;
	inst->waited = false;
}

void onebeat__ask_unanswered(struct onebeat_instance *inst)
{
	onebeat__ask_end(inst);
	inst->ask_due_ms = 0;
}

static bool is_due(struct onebeat *ob, const struct onebeat_instance *inst)
{
	const uint64_t now_ms = clock_now_ms();

	if (now_ms < inst->ask_due_ms)
		return false;
	if (inst->cookie && handle_link(ob) == LINK_GREETED)
		return false; /* not lost, only not read yet */
	if (!inst->cookie &&
	    ob->n_asked[ONEBEAT_CLASS_SMALL] + ob->n_asked[ONEBEAT_CLASS_LARGE] >= UNANSWERED_MAX)
		return false;
	if (inst->leaving || encode_class(&inst->descriptor) != ONEBEAT_CLASS_SMALL)
		return true; /* no spare one would do */
	return !onebeat__spare_is_expected(ob, now_ms);
}

static int send_ask(struct onebeat *ob, const struct onebeat_instance *inst)
{
	const uint32_t length = inst->descriptor.length;
	const struct onebeat_ask m = {
		.msg = { .magic = ONEBEAT_LEASE_MAGIC,
			 .type = ONEBEAT_MSG_ASK,
			 .size = (uint16_t)(sizeof(m) + length) },
		.class = inst->ask_class,
		.cookie = inst->cookie,
		.length = length,
	};

	memcpy(ob->message, &m, sizeof(m));
	memcpy((uint8_t *)ob->message + sizeof(m), inst->descriptor.words, length);
	return onebeat__lease_fd_send(&ob->lease, ob->message, sizeof(m) + length);
}

void onebeat__ask_send(struct onebeat *ob, struct onebeat_instance *inst)
{
	const bool again = inst->cookie != 0;
	const bool waited = inst->waited;
	int r;

	if (!is_due(ob, inst))
		return;
	(void)onebeat__ask_begin(inst);
	r = send_ask(ob, inst);
	if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM) {
		if (!again)
			onebeat__ask_end(inst); /* no room: asked with the next turn */
		inst->waited = waited;
		inst->ask_due_ms = 0;
	} else if (r < 0) {
		onebeat__detach(ob);
	}
	ONEBEAT_CRASH_POINT("lib.grant.asked");
}
