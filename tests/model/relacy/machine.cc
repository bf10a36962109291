/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol under C11's memory orders
 *
 * Runs libclient/publish.c and agent/segment/drain.c themselves, compiled against shim/stdatomic.h, in Relacy: a
 * machine whose loads may return any value that C11 lets them return, under a scheduler that switches threads at any
 * operation. The schedule and the values are drawn from a generator that is seeded with the number of the run, so
 * a result is always the same.
 *
 *   machine SCENARIO                  runs one; says what holds or which claim is broken, and then every place in
 *                                     the sources that it passed with an order above relaxed
 *   machine SCENARIO FILE:LINE ORDER  the same, with that place's order replaced
 *
 * Exits 0 when the scenario's claims hold, 1 when one is broken, 2 for anything else.
 *
 * What the machine cannot do: a read-modify-write and a store always come last in their object's modification order,
 * and threads run in program order, so a store is never delayed past a later operation of its thread (only loads
 * are stale); a seq_cst fence takes over all that the fences before it knew, and what a thread has read counts in
 * that, as in C++20. C11 promises less of a value that was only read before the fence.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <sys/mman.h>

#include <relacy/relacy.hpp>

/* Relacy's macros of these names would be in the way of the plain ones. */
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

#include "machine.h"
#include "steps.h"

namespace {

const unsigned max_words = 40; /* that steps_is_modelled() names */
const unsigned max_sites = 64;
const size_t range_size = 1 << 20;
const char *const order_names[] = { "relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst" };

struct killed {};

/*
 * Inside of a run, operator new belongs to Relacy and ends with it. What outlives a run is in plain arrays.
 */
rl::atomic<uint32_t> *words;
const void *word_at[max_words]; /* in the order in which they were used first */
unsigned n_words;
struct {
	site where;
	memory_order order;
} sites[max_sites];
unsigned n_sites;
uint8_t *data, *status;
const char *kill_at; /* a thread ends at this crash point ... */
unsigned kill_index; /* ... this one */
const char *broken;
site weak; /* the place whose order is replaced; line 0: none */
memory_order weak_order;

bool same_place(const site &a, const site &b)
{
	return a.line == b.line && strcmp(a.file, b.file) == 0;
}

/* A place may name two operations in a line, so the operation counts too. */
void note_site(memory_order order, const site &s)
{
	for (unsigned i = 0; i < n_sites; i++) {
		if (same_place(sites[i].where, s) &&
		    strcmp(sites[i].where.operation, s.operation) == 0)
			return;
	}
	RL_VERIFY(n_sites < max_sites);
	sites[n_sites].where = s;
	sites[n_sites].order = order;
	n_sites++;
}

memory_order order_at(memory_order order, const site *s)
{
	if (order != memory_order_relaxed)
		note_site(order, *s);
	return weak.line && same_place(*s, weak) ? weak_order : order;
}

bool is_shared(const void *at)
{
	const uint8_t *byte = static_cast<const uint8_t *>(at);

	return (byte >= data && byte < data + range_size) ||
	       (byte >= status && byte < status + range_size);
}

rl::atomic<uint32_t> &word(const void *at)
{
	unsigned i = 0;

	RL_VERIFY(steps_is_modelled(at));
	while (i < n_words && word_at[i] != at)
		i++;
	RL_VERIFY(i < max_words);
	if (i == n_words)
		word_at[n_words++] = at;
	return words[i];
}

rl::memory_order machine_order(memory_order order)
{
	static const rl::memory_order orders[] = { rl::mo_relaxed, rl::mo_consume, rl::mo_acquire,
						   rl::mo_release, rl::mo_acq_rel, rl::mo_seq_cst };

	return orders[order];
}

/* The first claim that does not hold ends the run. */
void claim(bool holds, const char *what)
{
	if (holds)
		return;
	broken = what;
	RL_ASSERT(false);
}

void claim_honest(steps_answer r)
{
	claim(r != STEPS_INVALID && r != STEPS_FOREIGN, "what is accepted is one whole version");
}

/* Publishes, or dies on the way. */
void publish(uint32_t slot)
{
	try {
		steps_publish(slot);
	} catch (const killed &) {
	}
}

template <typename scenario, unsigned n_threads>
struct stage : rl::test_suite<scenario, n_threads> {
	rl::atomic<uint32_t> memory[max_words];

	void before()
	{
		words = memory;
		kill_at = nullptr;
		steps_begin(data, status);
		for (rl::atomic<uint32_t> &w : memory)
			w.store(0, rl::mo_relaxed, $);
	}
};

/*
 * P2 to P4 and D4 to D6, as the sweep does it: nothing but pub says that there is something new. A writer that goes
 * on after P4 comes to the fence P7, which would stand in for the next update's P2. Publication is not to lean on
 * the doorbell, so here every update ends behind P4.
 */
struct copy : stage<copy, 2> {
	static const unsigned n_runs = 20000;

	void before()
	{
		stage::before();
		kill_at = "lib.publish.committed";
		kill_index = 0;
	}

	void thread(unsigned index)
	{
		if (index == 0) {
			for (int i = 0; i < 3; i++)
				publish(0);
		} else {
			for (int i = 0; i < 2; i++)
				claim_honest(steps_read(0));
		}
	}

	void after()
	{
		claim_honest(steps_read(0));
		claim(steps_seen(0) == steps_published(0), "the newest version is read in the end");
	}
};

/*
 * P5 to P8 and S1: one publishes, the agent drains, says that it sleeps and looks. With a second writer, killed
 * after it has set the upper bit and before it could ring: the first one then leaves that bit as it is.
 */
template <typename derived, unsigned n_threads>
struct doorbell : stage<derived, n_threads> {
	bool sleeps;

	void thread(unsigned index)
	{
		if (index == 0) {
			steps_publish(0);
		} else if (index == 1) {
			claim_honest(steps_drain());
			steps_say_sleeping();
			sleeps = !steps_pending();
		} else {
			publish(1);
		}
	}

	void after()
	{
		claim(!sleeps || steps_n_rung() > 0 || steps_seen(0) == steps_published(0),
		      "the agent does not sleep over an update");
	}
};

struct doorbell_alone : doorbell<doorbell_alone, 2> {
	static const unsigned n_runs = 5000;
};

struct doorbell_killed : doorbell<doorbell_killed, 3> {
	static const unsigned n_runs = 60000;

	void before()
	{
		stage::before();
		kill_at = "lib.publish.l1";
		kill_index = 2;
	}
};

/*
 * P5, P6 and D1, D2: two slots under one upper bit. The first thread's writer may be killed between its two bits.
 * What is left is drained when all have ended.
 */
struct bitmap : stage<bitmap, 3> {
	static const unsigned n_runs = 40000;

	void before()
	{
		stage::before();
		if (rl::rand(2))
			kill_at = "lib.publish.l0";
		kill_index = 0;
	}

	void thread(unsigned index)
	{
		if (index == 0) {
			publish(0);
		} else if (index == 1) {
			steps_publish(1);
			steps_publish(1);
		} else {
			claim_honest(steps_drain());
			claim_honest(steps_drain());
		}
	}

	void after()
	{
		claim_honest(steps_drain());
		claim(steps_seen(1) == steps_published(1) &&
			      (kill_at || steps_seen(0) == steps_published(0)),
		      "an update leaves its bits behind until it is read");
	}
};

template <typename scenario>
bool run()
{
	std::ostringstream said;
	rl::test_params params;

	params.iteration_count = scenario::n_runs;
	params.output_stream = &said;
	params.progress_stream = &said;
	params.output_history = true; /* else a run that fails is repeated, to tell its history */
	broken = nullptr;
	if (rl::simulate<scenario>(params)) {
		printf("holds\t%llu runs\n", (unsigned long long)params.stop_iteration);
		return true;
	}
	printf("broken\t%s\trun %llu\n", broken ? broken : said.str().c_str(),
	       (unsigned long long)params.stop_iteration);
	return false;
}

int run_named(const char *name)
{
	if (strcmp(name, "copy") == 0)
		return run<copy>() ? 0 : 1;
	if (strcmp(name, "doorbell") == 0)
		return run<doorbell_alone>() ? 0 : 1;
	if (strcmp(name, "doorbell-killed") == 0)
		return run<doorbell_killed>() ? 0 : 1;
	if (strcmp(name, "bitmap") == 0)
		return run<bitmap>() ? 0 : 1;
	return 2;
}

uint8_t *reserve()
{
	void *p = mmap(nullptr, range_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? nullptr : static_cast<uint8_t *>(p);
}

/* FILE:LINE and an order's name. */
bool set_weak(char *place, const char *order)
{
	char *colon = strrchr(place, ':');
	int i = 0;

	if (!colon)
		return false;
	*colon = '\0';
	weak.file = place;
	weak.line = atoi(colon + 1);
	while (i < 6 && strcmp(order, order_names[i]) != 0)
		i++;
	weak_order = (memory_order)i;
	return weak.line > 0 && i < 6;
}

} // namespace

uint32_t machine_load(const void *at, memory_order order, const site *s)
{
	if (!is_shared(at))
		return *static_cast<const uint32_t *>(at);
	if (!steps_is_modelled(at))
		return 0;
	return word(at).load(machine_order(order_at(order, s)), $);
}

void machine_store(void *at, uint32_t value, memory_order order, const site *s)
{
	if (is_shared(at))
		word(at).store(value, machine_order(order_at(order, s)), $);
	else
		*static_cast<uint32_t *>(at) = value;
}

uint32_t machine_exchange(void *at, uint32_t value, memory_order order, const site *s)
{
	return word(at).exchange(value, machine_order(order_at(order, s)), $);
}

uint32_t machine_fetch_or(void *at, uint32_t value, memory_order order, const site *s)
{
	return word(at).fetch_or(value, machine_order(order_at(order, s)), $);
}

void machine_fence(memory_order order, const site *s)
{
	order = order_at(order, s);
	if (order != memory_order_relaxed)
		rl::atomic_thread_fence(machine_order(order), $);
}

void machine_crash_point(const char *name)
{
	if (kill_at && strcmp(name, kill_at) == 0 && rl::ctx().threadx_->index_ == kill_index)
		throw killed();
}

int main(int argc, char **argv)
{
	bool passed = false;
	int status_of_run;

	data = reserve();
	status = reserve();
	if (!data || !status || (argc != 2 && (argc != 4 || !set_weak(argv[2], argv[3])))) {
		fprintf(stderr, "machine SCENARIO [FILE:LINE ORDER]\n");
		return 2;
	}
	status_of_run = run_named(argv[1]);
	for (unsigned i = 0; i < n_sites; i++) {
		const site &s = sites[i].where;

		printf("site\t%s\t%d\t%s\t%s\t%s\n", s.file, s.line, s.function, s.operation,
		       order_names[sites[i].order]);
		passed = passed || same_place(s, weak);
	}
	return weak.line && !passed ? 2 : status_of_run;
}
