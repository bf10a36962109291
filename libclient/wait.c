/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting, and event loops
 *
 * A waiter sleeps on the version word of its status line, whose value it read before it judged the line: a
 * change in between keeps it awake. Nobody wakes it when the agent dies, so it looks at the lease now and then,
 * and more often while there is no agent or no slot. The lock is not held while it sleeps.
 *
 * The word is in shared memory and so is the wait: not FUTEX_PRIVATE.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attach.h"
#include "clock.h"
#include "pump.h"
#include "status.h"

#define SLICE_ATTACHED_MS 250u
#define SLICE_ALONE_MS 100u
#define NOT_YET 1

/* The kernel's timespec of that system call, whatever width the program's time_t has. */
struct futex_time {
	long seconds;
	long nanoseconds;
};

static void futex_wait(const onebeat_word *word, uint32_t value, uint32_t time_ms)
{
	const struct futex_time time = { .seconds = (long)(time_ms / 1000),
					 .nanoseconds = (long)(time_ms % 1000) * 1000000 };

	syscall(SYS_futex, word, FUTEX_WAIT, value, &time, NULL, 0);
}

static bool is_refused(const struct onebeat_instance *inst, const struct status_view *view)
{
	if (atomic_load_explicit(&inst->refused, memory_order_relaxed))
		return true;
	/* A line that speaks of an older version refuses nothing that was written since. */
	return view->current && view->state == ONEBEAT_STATE_REFUSED &&
	       view->judged == view->version && !inst->dirty;
}

/* 0, NOT_YET or ONEBEAT_E_REFUSED. */
static int judge(const struct onebeat_instance *inst, const struct status_view *view, int state)
{
	const bool refused = is_refused(inst, view);

	switch (state) {
	case ONEBEAT_STATE_UP:
		if (refused)
			return ONEBEAT_E_REFUSED;
		return view->confirmed && !inst->dirty ? 0 : NOT_YET;
	case ONEBEAT_STATE_REFUSED:
		return refused ? 0 : NOT_YET;
	default:
		return view->current && view->state == ONEBEAT_STATE_GONE ? 0 : NOT_YET;
	}
}

/*
 * One word on an instance in all its registries: a refusal is one wherever it comes from, all else needs all of
 * them. *view is of the one that is waited for.
 */
static int judge_all(const struct onebeat_instance *first, struct status_view *view, int state)
{
	int result = 0;

	for (const struct onebeat_instance *inst = first; inst; inst = inst->next) {
		struct status_view look;
		int r;

		onebeat__status_look(inst, &look);
		r = judge(inst, &look, state);
		if (r < 0 || (state == ONEBEAT_STATE_REFUSED && r == 0))
			return r;
		if (r == NOT_YET && result == 0) {
			result = r;
			*view = look;
		}
	}
	return result;
}

/* The lock is let go and taken again. */
static void sleep_for_change(struct onebeat *ob, const struct status_view *view, uint64_t left_ms)
{
	const bool placed = view->futex && handle_link(ob) == LINK_ATTACHED;
	const uint32_t slice_ms = placed ? SLICE_ATTACHED_MS : SLICE_ALONE_MS;
	const uint32_t time_ms = left_ms < slice_ms ? (uint32_t)left_ms : slice_ms;

	if (!placed) {
		onebeat__pump_sleep(ob, time_ms);
		return;
	}
	onebeat__handle_leave(ob);
	futex_wait(view->futex, view->futex_value, time_ms);
	pthread_mutex_lock(&ob->lock);
}

static int wait_locked(struct onebeat *ob, const struct onebeat_instance *inst, int state,
		       int timeout_ms)
{
	const uint64_t deadline_ms = timeout_ms < 0 ? UINT64_MAX
						    : clock_now_ms() + (uint64_t)timeout_ms;
	const uint32_t serial = inst->serial;
	struct status_view view;

	for (;;) {
		uint64_t now_ms;
		int r;

		if (inst->serial != serial || !onebeat__handle_is_instance(inst))
			return ONEBEAT_E_HANDLE;
		onebeat__pump(ob);
		r = judge_all(inst, &view, state);
		if (r != NOT_YET)
			return r;
		now_ms = clock_now_ms();
		if (now_ms >= deadline_ms)
			return handle_link(ob) == LINK_ATTACHED ? ONEBEAT_E_TIMEOUT
								: ONEBEAT_E_DETACHED;
		sleep_for_change(ob, &view, deadline_ms - now_ms);
	}
}

int onebeat_wait(struct onebeat_instance *inst, int state, int timeout_ms)
{
	struct onebeat *ob;
	int r = onebeat__handle_enter_instance(inst);

	if (r < 0)
		return r;
	ob = inst->ob;
	if (state == ONEBEAT_STATE_UP || state == ONEBEAT_STATE_REFUSED ||
	    state == ONEBEAT_STATE_GONE)
		r = wait_locked(ob, inst, state, timeout_ms);
	else
		r = ONEBEAT_E_WAIT_STATE;
	onebeat__handle_leave(ob);
	return r;
}

int onebeat_attend(struct onebeat *ob)
{
	int r = onebeat__handle_enter(ob);

	if (r < 0)
		return r;
	onebeat__pump(ob);
	r = handle_link(ob) == LINK_ATTACHED ? 0 : ONEBEAT_E_DETACHED;
	onebeat__handle_leave(ob);
	return r;
}

int onebeat_fd(struct onebeat *ob)
{
	int r = onebeat__handle_enter(ob);

	if (r < 0)
		return r;
	if (!onebeat__lease_fd_is_ours(&ob->lease))
		onebeat__detach(ob);
	r = handle_link(ob) == LINK_DETACHED ? ONEBEAT_E_DETACHED : ob->lease.fd;
	onebeat__handle_leave(ob);
	return r;
}
