/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls between threads
 *
 * Each thread of the agent owns its state without locks. A tool's question, or an order such as "leave", is
 * carried to the owning thread as a function, and the asking thread waits. Calls are rare; the lock is held only
 * to link and to wait, never while a function runs. A call lives on its caller's stack, which stays there until
 * done is set, or until the owner has ended.
 */
#include "base/calls.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct call {
	calls_fn fn;
	void *ctx;
	struct call *next;
	bool taken;
	bool done;
};

int calls_init(struct calls *c)
{
	*c = (struct calls){ .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (c->event_fd < 0)
		return -errno;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->done, NULL);
	return 0;
}

void calls_deinit(struct calls *c)
{
	if (c->event_fd < 0)
		return;
	close(c->event_fd);
	c->event_fd = -1;
	pthread_cond_destroy(&c->done);
	pthread_mutex_destroy(&c->lock);
}

bool calls_do(struct calls *c, calls_fn fn, void *ctx)
{
	struct call call = { .fn = fn, .ctx = ctx };

	pthread_mutex_lock(&c->lock);
	if (!c->ended) {
		call.next = c->first;
		/* cppcheck-suppress autoVariables ; we wait below until it is unlinked */
		c->first = &call;
		(void)eventfd_write(c->event_fd, 1);
	}
	while (!call.done && (!c->ended || call.taken))
		pthread_cond_wait(&c->done, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return call.done;
}

static struct call *take(struct calls *c)
{
	struct call *call;

	pthread_mutex_lock(&c->lock);
	call = c->first;
	if (call) {
		c->first = call->next;
		call->taken = true;
	}
	pthread_mutex_unlock(&c->lock);
	return call;
}

void calls_post(struct calls *c, calls_fn fn, void *ctx)
{
	pthread_mutex_lock(&c->lock);
	c->posted = fn;
	c->posted_ctx = ctx;
	(void)eventfd_write(c->event_fd, 1);
	pthread_mutex_unlock(&c->lock);
}

static void run_posted(struct calls *c, void *owner)
{
	calls_fn fn;
	void *ctx;

	pthread_mutex_lock(&c->lock);
	fn = c->posted;
	ctx = c->posted_ctx;
	c->posted = NULL;
	pthread_mutex_unlock(&c->lock);
	if (fn)
		fn(owner, ctx);
}

void calls_run(struct calls *c, void *owner)
{
	struct call *call;
	eventfd_t n;

	(void)eventfd_read(c->event_fd, &n);
	run_posted(c, owner);
	while ((call = take(c))) {
		call->fn(owner, call->ctx);
		pthread_mutex_lock(&c->lock);
		call->done = true; /* on its caller's stack: not ours from here on */
		pthread_cond_broadcast(&c->done);
		pthread_mutex_unlock(&c->lock);
	}
}

void calls_end(struct calls *c)
{
	pthread_mutex_lock(&c->lock);
	c->ended = true;
	c->first = NULL;
	pthread_cond_broadcast(&c->done);
	pthread_mutex_unlock(&c->lock);
}
