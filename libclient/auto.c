/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Auto-registration: a server's instance follows its listening socket
 *
 * The life that a web framework gives its service: bind on listen, a switch, one start however many sockets
 * there are, the management port beside it, a word when the registry knows, and all gone with a stop. It is
 * made of the library's other calls alone; what it adds is the order of them and the running flag. Nothing
 * here runs by itself: the word to registered() comes from a call that the program makes.
 *
 * The object lives in an arena of its own, so that a forked child is known as one before the lock is touched.
 * The lock is never held while registered() runs.
 */
#include "auto.h"

#include <errno.h>
#include <pthread.h>

#include "arena.h"

#define AUTO_MAGIC UINT32_C(0x6f626175)

struct onebeat_auto {
	onebeat_word magic;
	const volatile uint32_t *alive;
	void *arena;
	size_t arena_size;
	pthread_mutex_t lock; /* of all below */
	void (*registered)(void *ctx, struct onebeat_auto *a);
	void *ctx;
	uint32_t wait_ms;
	struct onebeat *ob; /* NULL: it does not run */
	struct onebeat_instance *instance;
	struct onebeat_instance *management; /* NULL: none */
	bool said;                           /* to registered(), since the last start */
	struct auto_plan plan;
};

static int enter(struct onebeat_auto *a)
{
	if (!a || atomic_load_explicit(&a->magic, memory_order_acquire) != AUTO_MAGIC)
		return ONEBEAT_E_HANDLE;
	if (!*a->alive)
		return ONEBEAT_E_FORKED;
	pthread_mutex_lock(&a->lock);
	return 0;
}

static int make(struct onebeat_auto **out)
{
	struct onebeat_auto *a;
	struct arena arena;
	int r = onebeat__arena_new(&arena, sizeof(*a), 0);

	if (r < 0)
		return r;
	a = (struct onebeat_auto *)(void *)arena.bytes;
	a->alive = arena.alive;
	a->arena = arena.base;
	a->arena_size = arena.size;
	r = pthread_mutex_init(&a->lock, NULL);
	if (r != 0) {
		onebeat__arena_free(arena.base, arena.size);
		return -r;
	}
	*out = a;
	return 0;
}

int onebeat_auto_new(struct onebeat_auto **out, const struct onebeat_auto_options *options)
{
	struct onebeat_auto *a = NULL;
	int r;

	if (!out)
		return ONEBEAT_E_NULL;
	*out = NULL;
	if (!options)
		return ONEBEAT_E_NULL;
	if (options->size != sizeof(*options))
		return ONEBEAT_E_SIZE;
	r = make(&a);
	if (r < 0 || !a) {
		errno = -r;
		return ONEBEAT_E_SYSTEM;
	}
	a->registered = options->registered;
	a->ctx = options->ctx;
	a->wait_ms = options->wait_ms;
	r = onebeat__auto_plan_init(&a->plan, options);
	if (r < 0) {
		pthread_mutex_destroy(&a->lock);
		onebeat__arena_free(a->arena, a->arena_size);
		return r;
	}
	atomic_store_explicit(&a->magic, AUTO_MAGIC, memory_order_release);
	*out = a;
	return 0;
}

static void forget(struct onebeat_auto *a)
{
	onebeat_close(a->ob);
	a->ob = NULL;
	a->instance = NULL;
	a->management = NULL;
	a->said = false;
}

static int register_all(struct onebeat_auto *a)
{
	int r = onebeat_register(a->ob, &a->plan.spec, &a->instance);

	if (r == 0 && onebeat__auto_plan_is_managed(&a->plan))
		r = onebeat_register(a->ob, &a->plan.management, &a->management);
	return r;
}

/* Nothing of it stays when it fails. */
static int begin(struct onebeat_auto *a)
{
	int r = a->plan.spec.port == 0 ? ONEBEAT_E_PORT : 0;

	if (r == 0)
		r = onebeat_open(&a->ob, &a->plan.open);
	if (r == 0)
		r = register_all(a);
	if (r < 0) {
		int error = errno;

		forget(a);
		errno = error;
	}
	return r;
}

static bool is_confirmed(const struct onebeat_instance *inst)
{
	struct onebeat_report report;

	report.size = sizeof(report);
	return !inst || (onebeat_status(inst, &report) == 0 && report.confirmed &&
			 (report.state == ONEBEAT_STATE_UP || report.state == ONEBEAT_STATE_DOWN));
}

/* Is it time for the word, which is then as good as said? */
static bool take_word(struct onebeat_auto *a)
{
	if (!a->ob || a->said || !is_confirmed(a->instance) || !is_confirmed(a->management))
		return false;
	a->said = true;
	return a->registered != NULL;
}

/* Lets go of the lock, and says the word without it. */
static void leave(struct onebeat_auto *a)
{
	const bool word = take_word(a);

	pthread_mutex_unlock(&a->lock);
	if (word)
		a->registered(a->ctx, a);
}

static int wait_for_registry(const struct onebeat_auto *a)
{
	const int wait_ms = a->wait_ms > INT32_MAX ? INT32_MAX : (int)a->wait_ms;
	int r = 0;

	if (wait_ms > 0)
		r = onebeat_wait(a->instance, ONEBEAT_STATE_UP, wait_ms);
	if (r == 0 && wait_ms > 0 && a->management)
		r = onebeat_wait(a->management, ONEBEAT_STATE_UP, wait_ms);
	return r;
}

static int start(struct onebeat_auto *a)
{
	int r;

	if (a->ob || !a->plan.enabled)
		return 0;
	r = begin(a);
	return r < 0 ? r : wait_for_registry(a);
}

int onebeat_auto_start(struct onebeat_auto *a)
{
	int r = enter(a);

	if (r < 0)
		return r;
	r = start(a);
	leave(a);
	return r;
}

int onebeat_auto_bind(struct onebeat_auto *a, int listen_fd)
{
	int r = enter(a);

	if (r < 0)
		return r;
	r = onebeat__auto_plan_bind(&a->plan, listen_fd);
	if (r == 0)
		r = start(a);
	leave(a);
	return r;
}

int onebeat_auto_stop(struct onebeat_auto *a)
{
	int r = enter(a);

	if (r < 0)
		return r;
	forget(a);
	pthread_mutex_unlock(&a->lock);
	return 0;
}

int onebeat_auto_attend(struct onebeat_auto *a)
{
	int r = enter(a);

	if (r < 0)
		return r;
	if (a->ob)
		r = onebeat_attend(a->ob);
	leave(a);
	return r;
}

struct onebeat *onebeat_auto_handle(struct onebeat_auto *a)
{
	struct onebeat *ob;

	if (enter(a) < 0)
		return NULL;
	ob = a->ob;
	pthread_mutex_unlock(&a->lock);
	return ob;
}

struct onebeat_instance *onebeat_auto_instance(struct onebeat_auto *a)
{
	struct onebeat_instance *inst;

	if (enter(a) < 0)
		return NULL;
	inst = a->instance;
	pthread_mutex_unlock(&a->lock);
	return inst;
}

struct onebeat_instance *onebeat_auto_management(struct onebeat_auto *a)
{
	struct onebeat_instance *inst;

	if (enter(a) < 0)
		return NULL;
	inst = a->management;
	pthread_mutex_unlock(&a->lock);
	return inst;
}

int onebeat_auto_close(struct onebeat_auto *a)
{
	if (!a || atomic_load_explicit(&a->magic, memory_order_acquire) != AUTO_MAGIC)
		return 0;
	onebeat_close(a->ob);
	if (*a->alive)
		pthread_mutex_destroy(&a->lock);
	atomic_store_explicit(&a->magic, 0, memory_order_release);
	onebeat__arena_free(a->arena, a->arena_size);
	return 0;
}
