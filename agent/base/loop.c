/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread's event loop
 *
 * epoll, level-triggered. The epoll data is index and generation of a table entry, never a pointer: a
 * registration outlives our close() while another process holds a duplicate of the descriptor (the keeper
 * does, of every lease), so an event may come for a watch that is gone. Its generation then differs, and
 * the event is dropped. Deadlines are the caller's: it passes the time to wait.
 *
 * A loop belongs to one thread.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define NO_ENTRY UINT32_MAX

struct loop_entry {
	loop_fn fn; /* NULL: free */
	void *ctx;
	uint32_t generation;
	uint32_t next_free;
};

int loop_init(struct loop *loop)
{
	*loop = (struct loop)LOOP_NULL;
	loop->first_free = NO_ENTRY;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_deinit(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop->entries);
	*loop = (struct loop)LOOP_NULL;
}

static int grow(struct loop *loop)
{
	uint32_t n = loop->n_entries ? loop->n_entries * 2 : 16;
	struct loop_entry *entries = reallocarray(loop->entries, n, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	for (uint32_t i = n; i-- > loop->n_entries;) {
		entries[i] = (struct loop_entry){ .next_free = loop->first_free };
		loop->first_free = i;
	}
	loop->entries = entries;
	loop->n_entries = n;
	return 0;
}

static uint64_t watch_of(uint32_t index, uint32_t generation)
{
	return (uint64_t)generation << 32 | index;
}

static struct loop_entry *entry_of(struct loop *loop, uint64_t watch)
{
	uint32_t index = (uint32_t)watch;

	if (index >= loop->n_entries || !loop->entries[index].fn)
		return NULL;
	return loop->entries[index].generation == (uint32_t)(watch >> 32) ? &loop->entries[index]
									  : NULL;
}

int loop_add(struct loop *loop, int fd, uint32_t events, loop_fn fn, void *ctx, uint64_t *watch)
{
	struct epoll_event event = { .events = events };
	struct loop_entry *entry;
	uint32_t index;
	int r;

	*watch = LOOP_NO_WATCH;
	if (loop->first_free == NO_ENTRY) {
		r = grow(loop);
		if (r < 0)
			return r;
	}
	index = loop->first_free;
	entry = &loop->entries[index];
	event.data.u64 = watch_of(index, entry->generation);
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	loop->first_free = entry->next_free;
	entry->fn = fn;
	entry->ctx = ctx;
	*watch = event.data.u64;
	return 0;
}

int loop_modify(struct loop *loop, uint64_t watch, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = watch };

	assert(entry_of(loop, watch));
	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

void loop_remove(struct loop *loop, uint64_t *watch, int fd)
{
	struct loop_entry *entry = entry_of(loop, *watch);

	*watch = LOOP_NO_WATCH;
	if (!entry)
		return;
	/* Fails when a library closed the descriptor first; the generation guards against what may still come. */
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	entry->fn = NULL;
	entry->generation++;
	entry->next_free = loop->first_free;
	loop->first_free = (uint32_t)(entry - loop->entries);
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[LOOP_EVENTS];
	int max = loop->events_max > 0 && loop->events_max < LOOP_EVENTS ? loop->events_max
									 : LOOP_EVENTS;
	int n = epoll_wait(loop->epoll_fd, events, max, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct loop_entry *entry = entry_of(loop, events[i].data.u64);

		if (entry)
			entry->fn(entry->ctx, events[i].events);
	}
	return n;
}
