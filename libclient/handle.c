/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles: opening, closing, and who may come in
 *
 * A handle belongs to the process that opened it. In a forked child the page that alive points to is wiped, and
 * every entry looks there before it touches the lock, which another thread of the parent may have held at that
 * very moment. Closing in a child gives back memory and nothing else: the lease is shared with the parent.
 *
 * magic tells a live handle or instance from a closed one.
 */
#include "handle.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "attach.h"
#include "clock.h"
#include <onebeat/crashpoint.h>
#include "grant.h"
#include "messages.h"
#include "pump.h"

#define HANDLE_MAGIC UINT32_C(0x6f62746c)
#define INSTANCE_MAGIC UINT32_C(0x6f626931)
#define TIMEOUT_MAX_MS 60000u
#define FLAGS_KNOWN ((uint32_t)(ONEBEAT_OPEN_REQUIRE_AGENT | ONEBEAT_OPEN_ACROSS_EXEC))

static bool is_handle(const struct onebeat *ob)
{
	return ob && atomic_load_explicit(&ob->magic, memory_order_acquire) == HANDLE_MAGIC;
}

int onebeat__handle_enter(struct onebeat *ob)
{
	if (!is_handle(ob))
		return ONEBEAT_E_HANDLE;
	if (!*ob->alive)
		return ONEBEAT_E_FORKED;
	pthread_mutex_lock(&ob->lock);
	return 0;
}

void onebeat__handle_leave(struct onebeat *ob)
{
	pthread_mutex_unlock(&ob->lock);
}

bool onebeat__handle_is_instance(const struct onebeat_instance *inst)
{
	return inst && atomic_load_explicit(&inst->magic, memory_order_acquire) == INSTANCE_MAGIC;
}

void onebeat__handle_show(struct onebeat_instance *inst, bool shown)
{
	atomic_store_explicit(&inst->magic, shown ? INSTANCE_MAGIC : 0, memory_order_release);
}

int onebeat__handle_enter_instance(const struct onebeat_instance *inst)
{
	int r;

	if (!onebeat__handle_is_instance(inst))
		return ONEBEAT_E_HANDLE;
	r = onebeat__handle_enter(inst->ob);
	if (r == 0 && !onebeat__handle_is_instance(inst)) {
		onebeat__handle_leave(inst->ob);
		return ONEBEAT_E_HANDLE;
	}
	return r;
}

static int check_options(const struct onebeat_options *o)
{
	if (o->size != sizeof(*o))
		return ONEBEAT_E_SIZE;
	if (o->flags & ~FLAGS_KNOWN)
		return ONEBEAT_E_FLAGS;
	return 0;
}

static int check_limits(const struct onebeat_options *o)
{
	if (o->max_instances < 1 || o->max_instances > ONEBEAT_INSTANCES_MAX)
		return ONEBEAT_E_INSTANCES;
	return o->timeout_ms > TIMEOUT_MAX_MS ? ONEBEAT_E_OPEN_TIMEOUT : 0;
}

static void init_instances(struct onebeat *ob)
{
	for (uint32_t i = 0; i < ob->n_instances; i++) {
		ob->instances[i].ob = ob;
		atomic_init(&ob->instances[i].place.slot, ONEBEAT_NO_SLOT);
	}
}

/* A detached handle in memory of its own. 0, or -errno. */
static int make(struct onebeat **out, const struct onebeat_options *o,
		const struct runtime_dir *dir)
{
	struct segment_map map;
	struct arena arena;
	struct onebeat *ob;
	int r;

	memset(&map, 0, sizeof(map));
	onebeat__segment_map_measure(&map, onebeat__arena_page());
	r = onebeat__arena_new(&arena, sizeof(*ob) + o->max_instances * sizeof(ob->instances[0]),
			       map.ticks_window_size + map.status_window_size);
	if (r < 0)
		return r;
	map.ticks_window = arena.room;
	map.status = arena.room + map.ticks_window_size;
	ob = (struct onebeat *)(void *)arena.bytes;
	ob->alive = arena.alive;
	ob->arena = arena.base;
	ob->arena_size = arena.size;
	ob->timeout_ms = o->timeout_ms;
	ob->flags = o->flags;
	ob->dir = *dir;
	ob->lease = (struct lease_fd)LEASE_FD_NULL;
	ob->map = map;
	ob->n_instances = o->max_instances;
	atomic_init(&ob->link_since_ms, clock_boot_ms());
	init_instances(ob);
	r = pthread_mutex_init(&ob->lock, NULL);
	if (r != 0) {
		onebeat__arena_free(arena.base, arena.size);
		return -r;
	}
	atomic_store_explicit(&ob->magic, HANDLE_MAGIC, memory_order_release);
	*out = ob;
	return 0;
}

static bool is_attached(const struct onebeat *ob, const struct onebeat_instance *inst)
{
	(void)inst;
	return handle_link(ob) == LINK_ATTACHED;
}

/* Waits for the agent's answer; says what open has to say. */
static int meet_agent(struct onebeat *ob)
{
	const uint64_t deadline_ms = clock_now_ms() + ob->timeout_ms;
	int r = onebeat__attach(ob, ob->timeout_ms);

	if (r == 0)
		onebeat__pump_until(ob, deadline_ms, is_attached, NULL);
	else if (r == ONEBEAT_E_SYSTEM)
		return r;
	if (ob->fault == ONEBEAT_E_AGENT_VERSION || ob->fault == ONEBEAT_E_SYSTEM)
		return ob->fault;
	if (ob->flags & ONEBEAT_OPEN_REQUIRE_AGENT && handle_link(ob) != LINK_ATTACHED)
		return ONEBEAT_E_NO_AGENT;
	return 0;
}

/* Memory alone: all that a forked child may do. */
static void discard(struct onebeat *ob)
{
	onebeat__arena_free(ob->arena, ob->arena_size);
}

static void end(struct onebeat *ob)
{
	onebeat__lease_fd_drop(&ob->lease);
	ONEBEAT_CRASH_POINT("lib.close.lease_closed");
	onebeat__segment_map_detach(&ob->map);
	ONEBEAT_CRASH_POINT("lib.close.unmapped");
	pthread_mutex_unlock(&ob->lock);
	pthread_mutex_destroy(&ob->lock);
	discard(ob);
}

static int open_handle(struct onebeat **out, const struct onebeat_options *o,
		       const struct runtime_dir *dir)
{
	struct onebeat *ob = NULL;
	int error;
	int r = make(&ob, o, dir);

	if (r < 0 || !ob) {
		errno = -r;
		return ONEBEAT_E_SYSTEM;
	}
	pthread_mutex_lock(&ob->lock);
	r = meet_agent(ob);
	if (r < 0) {
		error = errno;
		end(ob);
		errno = error;
		return r;
	}
	pthread_mutex_unlock(&ob->lock);
	*out = ob;
	return 0;
}

int onebeat_open(struct onebeat **out, const struct onebeat_options *options)
{
	const struct onebeat_options standard = onebeat_options_init();
	const struct onebeat_options *o = options ? options : &standard;
	struct runtime_dir dir;
	int r;

	if (!out)
		return ONEBEAT_E_NULL;
	*out = NULL;
	r = check_options(o);
	if (r == 0)
		r = onebeat__runtime_dir_init(&dir, o->runtime_dir);
	if (r == 0)
		r = check_limits(o);
	return r < 0 ? r : open_handle(out, o, &dir);
}

static bool all_gone(const struct onebeat *ob, const struct onebeat_instance *inst)
{
	(void)inst;
	for (uint32_t i = 0; i < ob->n_instances; i++) {
		if (ob->instances[i].used)
			return false;
	}
	return true;
}

/* Instances that no agent can know need no leave. */
static void leave_all(struct onebeat *ob)
{
	for (uint32_t i = 0; i < ob->n_instances; i++) {
		struct onebeat_instance *inst = &ob->instances[i];

		onebeat__handle_show(inst, false);
		inst->leaving = true;
		inst->used = inst->used && inst->told;
	}
}

int onebeat_close(struct onebeat *ob)
{
	if (!is_handle(ob))
		return 0;
	if (!*ob->alive) {
		discard(ob);
		return 0;
	}
	pthread_mutex_lock(&ob->lock);
	leave_all(ob);
	if (!all_gone(ob, NULL)) {
		ob->attach_due_ms = 0; /* no later call will find the agent that has just come */
		onebeat__pump_until(ob, clock_now_ms() + ob->timeout_ms, all_gone, NULL);
	}
	if (handle_link(ob) != LINK_DETACHED)
		onebeat__messages_goodbye(ob);
	end(ob);
	return 0;
}
