/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* Called with the epoll events of the descriptor that became ready. */
typedef void (*loop_fn)(void *ctx, uint32_t events);

struct loop_entry;

struct loop {
	int epoll_fd;
	struct loop_entry *entries;
	uint32_t n_entries;
	uint32_t first_free;
	int events_max; /* in a turn; 0: as many as LOOP_EVENTS. The rest comes with the next, each in turn */
};

#define LOOP_NULL              \
	{                      \
		.epoll_fd = -1 \
	}
#define LOOP_NO_WATCH UINT64_MAX
#define LOOP_EVENTS 256

int loop_init(struct loop *loop);
void loop_deinit(struct loop *loop);

/* Watches fd, level-triggered. *watch names it until loop_remove(). 0 or a negative errno. */
int loop_add(struct loop *loop, int fd, uint32_t events, loop_fn fn, void *ctx, uint64_t *watch);
int loop_modify(struct loop *loop, uint64_t watch, int fd, uint32_t events);
/* Ends a watch before its descriptor is closed; sets *watch to LOOP_NO_WATCH; idempotent. */
void loop_remove(struct loop *loop, uint64_t *watch, int fd);

/* Waits at most timeout_ms (-1: for ever), calls what is ready. Number of events, or a negative errno. */
int loop_turn(struct loop *loop, int timeout_ms);

#endif
