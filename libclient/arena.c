/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a handle
 *
 * All that a handle ever needs is mapped at once: nothing is allocated later, and nothing comes from the
 * program's heap, whose locks a fork may leave taken.
 *
 * The first page tells a forked child that it is one: the kernel wipes it at every kind of fork but vfork(),
 * also at those that no atfork handler sees.
 *
 * A freed arena stays mapped, read-only and without memory behind it, until another takes its place: a program
 * that goes on using the handle that it closed last reads zeros where the magic was, and gets an error
 * instead of SIGSEGV. One is kept, in one static place; whoever finds the place busy does without. A child
 * that was forked while it was busy does without for ever.
 */
#include "arena.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_flag kept_busy = ATOMIC_FLAG_INIT;
static void *kept_base;
static size_t kept_size;

size_t onebeat__arena_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Puts another arena into the static place and gives out the one that was there; the same one when it is busy. */
static void swap_kept(void **base, size_t *size)
{
	void *old_base;
	size_t old_size;

	if (atomic_flag_test_and_set_explicit(&kept_busy, memory_order_acquire))
		return;
	old_base = kept_base;
	old_size = kept_size;
	kept_base = *base;
	kept_size = *size;
	atomic_flag_clear_explicit(&kept_busy, memory_order_release);
	*base = old_base;
	*size = old_size;
}

/* size bytes of address space, nothing behind them; MAP_FAILED with errno. */
static void *reserve(size_t size)
{
	void *base = NULL;
	size_t base_size = 0;

	swap_kept(&base, &base_size);
	if (base && base_size != size) {
		munmap(base, base_size);
		base = NULL;
	}
	if (base)
		return base;
	return mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

int onebeat__arena_new(struct arena *out, size_t n_bytes, size_t n_room)
{
	const size_t page = onebeat__arena_page();
	const size_t n_used = page + (n_bytes + page - 1) / page * page;
	int r;

	out->size = n_used + n_room;
	out->base = reserve(out->size);
	if (out->base == MAP_FAILED)
		return -errno;
	out->alive = out->base;
	out->bytes = (uint8_t *)out->base + page;
	out->room = (uint8_t *)out->base + n_used;
	if (mprotect(out->base, n_used, PROT_READ | PROT_WRITE) < 0 ||
	    madvise(out->base, page, MADV_WIPEONFORK) < 0) {
		r = -errno;
		munmap(out->base, out->size);
		return r;
	}
	*out->alive = 1;
	return 0;
}

void onebeat__arena_free(void *base, size_t size)
{
	if (mmap(base, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED) {
		munmap(base, size);
		return;
	}
	swap_kept(&base, &size);
	if (base)
		munmap(base, size);
}
