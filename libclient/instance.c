/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registering, updating, leaving
 *
 * Each call records its wish in the instance and then has it served. With a slot at hand that is a memory write;
 * without one it is a round of the handle, and a wait for the answer that is no longer than the handle's time-out.
 * One answer is waited for by one call only: an agent that does not answer must not slow every update down.
 *
 * A deregistered instance is at an end for its caller, but is remembered until the agent has been told, so that
 * a leave is not lost while no agent is there. So a leave looks at the lease first: it is the last word on its
 * instance, and no later call would say it again to the agent that came in a dead one's place.
 */
#include <string.h>

#include "clock.h"
#include "grant.h"
#include "handle.h"
#include "messages.h"
#include "pump.h"
#include "registries.h"
#include "spec.h"

static bool is_settled(const struct onebeat *ob, const struct onebeat_instance *inst)
{
	(void)ob;
	return !inst->used || (handle_is_placed(inst) && !inst->dirty) || inst->waited ||
	       atomic_load_explicit(&inst->refused, memory_order_relaxed);
}

static bool is_gone(const struct onebeat *ob, const struct onebeat_instance *inst)
{
	(void)ob;
	return !inst->used || inst->waited;
}

/* Rounds until it is settled. Afterwards inst may be another one: another thread may have deregistered it. */
static int settle(struct onebeat *ob, struct onebeat_instance *inst, pump_done done)
{
	const uint32_t serial = inst->serial;

	onebeat__pump_until(ob, clock_now_ms() + ob->timeout_ms, done, inst);
	if (inst->serial != serial)
		return ONEBEAT_E_HANDLE;
	if (inst->used && !done(ob, inst))
		inst->waited = true;
	return 0;
}

/* The wish is recorded: brings it to the agent. */
static int carry_out(struct onebeat *ob, struct onebeat_instance *inst)
{
	int r;

	if (handle_link(ob) == LINK_ATTACHED && handle_is_placed(inst) &&
	    clock_coarse_ms() < ob->look_due_ms) {
		onebeat__grant_serve(ob, inst);
		if (handle_is_placed(inst) && !inst->dirty)
			return 0;
	}
	r = settle(ob, inst, is_settled);
	if (r == 0 && atomic_load_explicit(&inst->refused, memory_order_relaxed))
		return ONEBEAT_E_REFUSED;
	return r;
}

static struct onebeat_instance *find_same(struct onebeat *ob, const struct encoded *e)
{
	for (uint32_t i = 0; i < ob->n_instances; i++) {
		if (ob->instances[i].used &&
		    onebeat__encode_same_key(&ob->instances[i].descriptor, e))
			return &ob->instances[i];
	}
	return NULL;
}

/* One that waits to leave keeps its place: an agent that never heard of it would keep the instance registered. */
static struct onebeat_instance *find_free(struct onebeat *ob)
{
	for (uint32_t i = 0; i < ob->n_instances; i++) {
		if (!ob->instances[i].used)
			return &ob->instances[i];
	}
	return NULL;
}

/* One that was about to leave keeps what it had asked for: the answer will be for the same instance. */
static void begin(struct onebeat *ob, struct onebeat_instance *inst, bool anew)
{
	if (++ob->last_serial == 0)
		ob->last_serial = 1;
	if (anew) {
		onebeat__grant_forget(inst);
		inst->told = false;
	}
	inst->serial = ob->last_serial;
	inst->n_refs = 0;
	inst->used = true;
	inst->leaving = false;
	inst->waited = false;
	inst->ask_due_ms = 0;
	atomic_store_explicit(&inst->since_ms, clock_boot_ms(), memory_order_relaxed);
}

static void remember(struct onebeat_instance *inst, const struct encoded *e)
{
	onebeat__encode_copy(&inst->descriptor, e);
	grant_changed(inst);
}

static void leave(struct onebeat *ob, struct onebeat_instance *inst)
{
	if (!inst->told) {
		onebeat__grant_forget(inst);
		return;
	}
	/* Withdrawn in the memory of an agent that has gone, it would be forgotten here and kept there. */
	if (handle_link(ob) != LINK_DETACHED)
		onebeat__messages_take(ob);
	onebeat__grant_serve(ob, inst);
	if (inst->used)
		(void)settle(ob, inst, is_gone);
}

/*
 * Ends an instance in all its registries. All are on their way before one of them is waited for, and a place that
 * somebody else takes meanwhile is no longer ours.
 */
static void leave_all(struct onebeat *ob, struct onebeat_instance *first)
{
	struct onebeat_instance *all[ONEBEAT_REGISTRIES_MAX];
	uint32_t serials[ONEBEAT_REGISTRIES_MAX];
	uint32_t n = 0;

	onebeat__handle_show(first, false);
	for (struct onebeat_instance *inst = first; inst; inst = inst->next) {
		inst->leaving = true;
		all[n] = inst;
		serials[n++] = inst->serial;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (all[i]->serial != serials[i])
			continue;
		if (atomic_load_explicit(&all[i]->refused, memory_order_relaxed))
			onebeat__grant_forget(all[i]);
		else
			leave(ob, all[i]);
	}
}

/* Takes places for all that the spec names, and writes down what is wanted there. NULL: there is no room. */
static struct onebeat_instance *prepare(struct onebeat *ob, const struct onebeat_spec *spec,
					const struct registries *registries)
{
	struct onebeat_instance *first = NULL, **link = &first;

	for (uint32_t k = 0; k < registries->n; k++) {
		struct onebeat_instance *inst;
		bool anew;

		onebeat__registries_encode(registries, k, spec, &ob->draft);
		inst = find_same(ob, &ob->draft);
		anew = !inst;
		if (!inst)
			inst = find_free(ob);
		if (!inst) {
			if (first)
				leave_all(ob, first);
			return NULL;
		}
		begin(ob, inst, anew);
		remember(inst, &ob->draft);
		memcpy(inst->registry, registries->names[k], sizeof(inst->registry));
		inst->next = NULL;
		*link = inst;
		link = &inst->next;
	}
	return first;
}

static int carry_out_all(struct onebeat *ob, struct onebeat_instance *first)
{
	int result = 0;

	for (struct onebeat_instance *inst = first; inst; inst = inst->next) {
		int r = carry_out(ob, inst);

		if (r == ONEBEAT_E_HANDLE)
			return r; /* closed meanwhile */
		if (result == 0)
			result = r;
	}
	return result;
}

static int add(struct onebeat *ob, const struct onebeat_spec *spec,
	       const struct registries *registries, struct onebeat_instance **out)
{
	struct onebeat_instance *first = prepare(ob, spec, registries);
	int r;

	if (!first)
		return ONEBEAT_E_FULL;
	first->n_refs = 1;
	onebeat__handle_show(first, true);
	r = carry_out_all(ob, first);
	if (r == ONEBEAT_E_REFUSED)
		leave_all(ob, first);
	*out = first;
	return r;
}

/* Does every registry that the spec names have it here as it would be updated, and no other? */
static bool is_same(struct onebeat *ob, const struct onebeat_instance *first,
		    const struct onebeat_spec *spec, const struct registries *registries)
{
	const struct onebeat_instance *inst = first;

	for (uint32_t k = 0; k < registries->n; k++, inst = inst->next) {
		onebeat__registries_encode(registries, k, spec, &ob->draft);
		if (!inst || !onebeat__encode_same_identity(&inst->descriptor, &ob->draft))
			return false;
	}
	return !inst;
}

static int change(struct onebeat *ob, struct onebeat_instance *first,
		  const struct onebeat_spec *spec, const struct registries *registries)
{
	struct onebeat_instance *inst = first;

	if (!is_same(ob, first, spec, registries))
		return ONEBEAT_E_IDENTITY;
	for (uint32_t k = 0; k < registries->n; k++, inst = inst->next) {
		if (registries->n > 1) /* a single one is in the draft already */
			onebeat__registries_encode(registries, k, spec, &ob->draft);
		remember(inst, &ob->draft);
	}
	return carry_out_all(ob, first);
}

/* Any of those that the spec names, when the program has it; NULL: none. */
static struct onebeat_instance *find_any(struct onebeat *ob, const struct onebeat_spec *spec,
					 const struct registries *registries)
{
	for (uint32_t k = 0; k < registries->n; k++) {
		struct onebeat_instance *inst;

		onebeat__registries_encode(registries, k, spec, &ob->draft);
		inst = find_same(ob, &ob->draft);
		if (inst && !inst->leaving)
			return inst;
	}
	return NULL;
}

static int register_spec(struct onebeat *ob, const struct onebeat_spec *spec,
			 struct onebeat_instance **out)
{
	struct onebeat_instance *inst;
	struct registries registries;
	int r = onebeat__registries_read(&registries, spec->registry);

	if (r < 0)
		return r;
	inst = find_any(ob, spec, &registries);
	if (!inst) {
		r = add(ob, spec, &registries, &inst);
	} else if (!onebeat__handle_is_instance(inst)) {
		r = ONEBEAT_E_IDENTITY; /* it hangs on another, with other registries */
	} else {
		inst->n_refs++;
		r = change(ob, inst, spec, &registries);
		if (r < 0 && r != ONEBEAT_E_HANDLE)
			inst->n_refs--;
	}
	if (r == 0)
		*out = inst;
	return r;
}

int onebeat_register(struct onebeat *ob, const struct onebeat_spec *spec,
		     struct onebeat_instance **out)
{
	int r;

	if (out)
		*out = NULL;
	r = onebeat__handle_enter(ob);
	if (r < 0)
		return r;
	r = out ? onebeat__spec_check(spec) : ONEBEAT_E_NULL;
	if (r == 0)
		r = register_spec(ob, spec, out);
	onebeat__handle_leave(ob);
	return r;
}

int onebeat_update(struct onebeat_instance *inst, const struct onebeat_spec *spec)
{
	struct registries registries;
	int r = onebeat__handle_enter_instance(inst);

	if (r < 0)
		return r;
	r = onebeat__spec_check(spec);
	if (r == 0)
		r = onebeat__registries_read(&registries, spec->registry);
	if (r == 0)
		r = change(inst->ob, inst, spec, &registries);
	onebeat__handle_leave(inst->ob);
	return r;
}

static void set_enabled(struct onebeat_instance *inst, bool enabled)
{
	for (; inst; inst = inst->next) {
		onebeat__encode_set_enabled(&inst->descriptor, enabled);
		grant_changed(inst);
	}
}

int onebeat_set_status(struct onebeat_instance *inst, int status)
{
	int r = onebeat__handle_enter_instance(inst);

	if (r < 0)
		return r;
	if (status == ONEBEAT_STATE_UP || status == ONEBEAT_STATE_DOWN) {
		set_enabled(inst, status == ONEBEAT_STATE_UP);
		r = carry_out_all(inst->ob, inst);
	} else {
		r = ONEBEAT_E_STATUS;
	}
	onebeat__handle_leave(inst->ob);
	return r;
}

int onebeat_deregister(struct onebeat_instance *inst)
{
	struct onebeat *ob;
	int r = onebeat__handle_enter_instance(inst);

	if (r < 0)
		return r;
	ob = inst->ob;
	if (--inst->n_refs == 0)
		leave_all(ob, inst);
	onebeat__handle_leave(ob);
	return 0;
}
