/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol's real code under C++11's memory model
 *
 * relacy runs publish.c and drain.c, step by step, in schedules of its choice, and lets every load see any value
 * that the orders in the sources permit, not only those that this machine happens to give: on x86 the fence
 * before the look at the sleeping word, or the one before a block's stores, costs nothing when it is missing.
 *
 *   orders [ITERATIONS]
 *
 * Prints what each story found; exit status 1 when one was broken. The seeds are relacy's own: the same sources
 * give the same runs.
 */
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <relacy/relacy.hpp>

#include "parts.h"

namespace
{

typedef rl::atomic<uint32_t> word;

word *shared; /* of the run that goes on */

rl::memory_order order_of(int order)
{
	static const rl::memory_order orders[] = { rl::mo_relaxed, rl::mo_consume, rl::mo_acquire,
						   rl::mo_release, rl::mo_acq_rel, rl::mo_seq_cst };

	return orders[order];
}

volatile uint32_t *plain(const volatile void *address)
{
	return static_cast<volatile uint32_t *>(const_cast<volatile void *>(address));
}

/* The word that an address means, or NULL for private memory. */
word *word_at(const volatile void *address)
{
	int i = parts_word(address);

	if (i == PARTS_CLEAR) {
		std::puts("orders: a word that stays clear is written");
		std::abort();
	}
	return i < 0 ? NULL : &shared[i];
}

} // namespace

extern "C" uint32_t orders_load(const volatile void *address, int order)
{
	int i = parts_word(address);

	if (i == PARTS_CLEAR)
		return 0;
	return i < 0 ? *plain(address) : shared[i].load(order_of(order), $);
}

extern "C" void orders_store(volatile void *address, uint32_t value, int order)
{
	word *w = word_at(address);

	if (w)
		w->store(value, order_of(order), $);
	else
		*plain(address) = value;
}

extern "C" uint32_t orders_or(volatile void *address, uint32_t bits, int order)
{
	word *w = word_at(address);
	uint32_t old;

	if (w)
		return w->fetch_or(bits, order_of(order), $);
	old = *plain(address);
	*plain(address) = old | bits;
	return old;
}

extern "C" uint32_t orders_exchange(volatile void *address, uint32_t value, int order)
{
	word *w = word_at(address);
	uint32_t old;

	if (w)
		return w->exchange(value, order_of(order), $);
	old = *plain(address);
	*plain(address) = value;
	return old;
}

extern "C" void orders_fence(int order)
{
	if (order != 0)
		rl::atomic_thread_fence(order_of(order), $);
}

namespace
{

/* Words of one run, all 0 before the threads start. */
template <typename T, int n_threads> struct story : rl::test_suite<T, n_threads> {
	word words[PARTS_WORDS];

	void before()
	{
		parts_reset();
		shared = words;
		for (int i = 0; i < PARTS_WORDS; i++)
			words[i].store(0, rl::mo_relaxed, $);
	}

	void check_content()
	{
		RL_ASSERT(parts_fault() == NULL); /* torn, stale or refused */
	}

	/* What was published and not seen stands in both levels of the bits. */
	void check_bits()
	{
		for (int i = 0; i < PARTS_WRITERS; i++) {
			if (parts_published(i) == parts_seen(i))
				continue;
			RL_ASSERT(words[PARTS_L0].load(rl::mo_relaxed, $) & 1u << i); /* bit lost */
			RL_ASSERT(words[PARTS_L1].load(rl::mo_relaxed, $) & 1u);      /* bit lost */
		}
	}
};

/* A reader while the writer goes round both blocks: whole versions only, in order. */
struct copy_story : story<copy_story, 2> {
	void before()
	{
		story::before();
		parts_publish(0);
	}

	void thread(unsigned int i)
	{
		for (int n = 0; n < 2; n++) {
			if (i == 0)
				parts_publish(0);
			else
				parts_look(0);
		}
		check_content();
	}
};

/* Two writers and an agent on its way to sleep: nothing stays unseen unless somebody rang. */
struct bell_story : story<bell_story, 3> {
	bool asleep;

	void before()
	{
		story::before();
		asleep = false;
	}

	void thread(unsigned int i)
	{
		if (i < 2) {
			parts_publish(static_cast<int>(i));
			return;
		}
		parts_drain();
		check_content();
		asleep = parts_falls_asleep();
	}

	void after()
	{
		check_bits();
		for (int i = 0; i < PARTS_WRITERS; i++) {
			bool unseen = parts_published(i) != parts_seen(i);

			RL_ASSERT(!asleep || !unseen || parts_has_rung(i)); /* wake-up lost */
		}
	}
};

/* The agent drains twice while writers publish: no bit is lost between the two levels. */
struct bits_story : story<bits_story, 3> {
	void thread(unsigned int i)
	{
		for (int n = 0; n < 2; n++) {
			if (i < 2)
				parts_publish(static_cast<int>(i));
			else
				parts_drain();
		}
		check_content();
	}

	void after() { check_bits(); }
};

/* Slot 0's bit stands already: its setter was killed before it set the upper one. */
struct parked_story : story<parked_story, 2> {
	void before()
	{
		story::before();
		words[PARTS_L0].store(1, rl::mo_relaxed, $);
	}

	void thread(unsigned int i)
	{
		if (i == 0)
			parts_publish(0);
		else
			parts_drain();
		check_content();
	}

	void after() { check_bits(); }
};

template <typename T> bool holds(const char *name, unsigned int iterations)
{
	rl::test_params params; /* tells std::cout, with the whole history of a run that fails */
	bool good;

	params.iteration_count = iterations;
	good = rl::simulate<T>(params);
	std::cout << name << ": " << (good ? "holds" : "broken") << " after "
		  << params.stop_iteration << " schedules" << std::endl;
	return good;
}

} // namespace

int main(int argc, char **argv)
{
	unsigned int n = argc > 1 ? static_cast<unsigned int>(std::strtoul(argv[1], NULL, 10)) : 100000;
	bool good = n > 0;

	good = holds<copy_story>("copy", n) && good;
	good = holds<bell_story>("bell", n) && good;
	good = holds<bits_story>("bits", n) && good;
	good = holds<parked_story>("parked", n) && good;
	return good ? 0 : 1;
}
