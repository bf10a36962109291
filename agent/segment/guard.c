/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard against lost pages
 *
 * Touching a page of a mapped file that the file no longer has is answered with SIGBUS. The segments' seals keep
 * clients from doing that to us, yet a page may go all the same: memory that fails, swap that cannot be read, a
 * journal on a disk that cannot, a kernel where a seal does not hold, our own mistake. One bad page would then
 * end the agent of every process of the host, and its successor, and the one after.
 *
 * So the handler puts a page of zeros in the place of the lost one and lets the instruction run again. Nothing
 * at the places that read or write knows of it, and none can be forgotten: what is in shared memory is
 * judged as a stranger's bytes anyway, and zeros are bytes that say nothing (no version, a wrong checksum).
 * What is written there reaches nobody. The owner of the range asks guard_n_lost(), says so and takes care
 * that nothing new is put there.
 *
 * The handler does what a handler may: it reads words that are lock-free and calls mmap(), which is a bare
 * system call here. A SIGBUS that is not about a guarded range, or that somebody sent, is none of its business:
 * it puts back what was there before and lets it happen again, so that real bugs die as they should.
 *
 * Ranges are added and removed by any thread; whoever removes one has made sure that nobody uses it.
 */
#include "segment/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/* Two of each domain's segment, one of its journal, and the journal's common part. */
#define RANGES_MAX (64u * 3 + 1)
#define CLAIMED 1u /* no page begins there */

struct range {
	_Atomic uintptr_t base; /* 0: free */
	_Atomic uintptr_t size;
	_Atomic uint32_t n_lost;
};

_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2, "the handler may read ranges");

static struct range ranges[RANGES_MAX];
static struct sigaction previous;
static uintptr_t page_size;
static bool installed;

static struct range *range_with(uintptr_t address)
{
	for (uint32_t i = 0; i < RANGES_MAX; i++) {
		uintptr_t base = atomic_load_explicit(&ranges[i].base, memory_order_acquire);

		if (base > CLAIMED && address >= base &&
		    address - base < atomic_load_explicit(&ranges[i].size, memory_order_relaxed))
			return &ranges[i];
	}
	return NULL;
}

/* False when the page is not ours to replace, or cannot be. */
static bool replace_page(const siginfo_t *info)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	struct range *range;
	char *page;

	if (info->si_code != BUS_ADRERR && info->si_code != BUS_MCEERR_AR)
		return false;
	range = range_with(address);
	if (!range)
		return false;
	page = (char *)info->si_addr - address % page_size;
	if (mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) == MAP_FAILED)
		return false;
	atomic_fetch_add_explicit(&range->n_lost, 1, memory_order_relaxed);
	return true;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	const int saved = errno;

	(void)context;
	if (!replace_page(info)) {
		sigaction(SIGBUS, &previous, NULL);
		/* A fault comes again by itself, a signal that was sent does not. */
		if (info->si_code <= 0)
			raise(number);
	}
	errno = saved;
}

int guard_install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	long size = sysconf(_SC_PAGESIZE);

	if (installed)
		return 0;
	if (size <= 0)
		return -ENOTSUP;
	page_size = (uintptr_t)size;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &previous) < 0)
		return -errno;
	installed = true;
	return 0;
}

void guard_uninstall(void)
{
	if (installed)
		sigaction(SIGBUS, &previous, NULL);
	installed = false;
}

int guard_add(void *base, size_t size)
{
	for (uint32_t i = 0; i < RANGES_MAX; i++) {
		uintptr_t free_base = 0;

		if (!atomic_compare_exchange_strong(&ranges[i].base, &free_base, CLAIMED))
			continue;
		atomic_store_explicit(&ranges[i].n_lost, 0, memory_order_relaxed);
		atomic_store_explicit(&ranges[i].size, size, memory_order_relaxed);
		atomic_store_explicit(&ranges[i].base, (uintptr_t)base, memory_order_release);
		return 0;
	}
	return -ENOSPC;
}

void guard_remove(void *base)
{
	struct range *range = base ? range_with((uintptr_t)base) : NULL;

	if (range)
		atomic_store_explicit(&range->base, 0, memory_order_release);
}

uint32_t guard_n_lost(const void *base)
{
	const struct range *range = base ? range_with((uintptr_t)base) : NULL;

	return range ? atomic_load_explicit(&range->n_lost, memory_order_relaxed) : 0;
}
