/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CALLS_H
#define BASE_CALLS_H

#include <pthread.h>
#include <stdbool.h>

typedef void (*calls_fn)(void *owner, void *ctx);

struct call;

/* Calls from other threads, carried out by the thread that owns the state they look at. */
struct calls {
	int event_fd; /* readable: calls_run() has something to do */
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct call *first;
	calls_fn posted; /* NULL: nothing */
	void *posted_ctx;
	bool ended;
};

int calls_init(struct calls *c);
void calls_deinit(struct calls *c);

/* Any thread: runs fn(owner, ctx) in the owner's thread and returns then. False when the owner has ended. */
bool calls_do(struct calls *c, calls_fn fn, void *ctx);

/* Any thread: has fn run in the owner's thread some time; waits for nothing. Only the newest one is kept. */
void calls_post(struct calls *c, calls_fn fn, void *ctx);

/* The owner's thread. After calls_end() no call waits any more. */
void calls_run(struct calls *c, void *owner);
void calls_end(struct calls *c);

#endif
