/* SPDX-License-Identifier: Apache-2.0 */
/* labels: tsan valgrind */
/*
 * What an agent leaves to its successor, and what it costs.
 */
#include <criterion/criterion.h>
#include <pthread.h>

#include "base/clock.h"
#include "lib/journal_dir.h"

#define N_SLOTS 1024u
#define LARGE (N_SLOTS - 1)
#define SLACK UINT64_C(65536) /* a disk file system keeps blocks for its own books */

static void set_up(void)
{
	journal_dir_init(N_SLOTS);
}

TestSuite(journal, .init = set_up, .fini = journal_dir_deinit);

/* What a successor finds: the agent has died without a word. */
static int reopen(void)
{
	return journal_dir_reopen(N_SLOTS);
}

static uint64_t resident(void)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

Test(journal, fresh_one_holds_nothing)
{
	struct journal_instance instance;
	struct journal_progress progress;
	struct journal_domain domain;
	struct journal_lease lease;
	struct journal_slot slot;
	uint32_t d, s;

	cr_assert(!journal_get_domain(j, 0, &domain));
	cr_assert(!journal_get_lease(j, 0, &lease));
	cr_assert(!journal_get_instance(j, 0, &instance));
	cr_assert(!journal_get_progress(j, 0, &progress));
	cr_assert(!journal_get_slot(j, 0, 0, &slot));
	journal_adopting(j, &d, &s);
	cr_assert_eq(s, ONEBEAT_NO_SLOT);
	cr_assert_eq(reopen(), JOURNAL_KEPT, "an empty one is kept too");
	cr_assert(!journal_get_slot(j, 0, 0, &slot));
}

Test(journal, records_outlive_the_agent)
{
	const struct journal_domain domain = { .uid = 1000,
					       .n_slots = N_SLOTS,
					       .uuid = "0123456789abcde" };
	const struct journal_lease lease = { .cookie = UINT64_MAX, .pid = -1, .program = "nginx" };
	const struct journal_instance instance = { .key_hash = 0xdeadbeef,
						   .version = 7,
						   .order = 9 };
	const struct journal_progress progress = { .posted = 7, .acked = 6, .delete_attempted = 1 };
	static const uint32_t ends[] = { 0, 1 };
	struct journal_instance instance2;
	struct journal_progress progress2;
	struct journal_domain domain2;
	struct journal_lease lease2;

	for (int i = 0; i < 2; i++) {
		journal_put_domain(j, ends[i] * (JOURNAL_DOMAINS_MAX - 1), &domain);
		cr_assert_eq(journal_put_lease(j, ends[i] * (JOURNAL_LEASES_MAX - 1), &lease), 0);
		cr_assert_eq(journal_put_instance(j, ends[i] * (JOURNAL_INSTANCES_MAX - 1),
						  &instance),
			     0);
		cr_assert_eq(journal_put_progress(j, ends[i] * (JOURNAL_INSTANCES_MAX - 1),
						  &progress),
			     0);
	}
	cr_assert_eq(reopen(), JOURNAL_KEPT);
	for (int i = 0; i < 2; i++) {
		cr_assert(journal_get_domain(j, ends[i] * (JOURNAL_DOMAINS_MAX - 1), &domain2));
		cr_assert(journal_get_lease(j, ends[i] * (JOURNAL_LEASES_MAX - 1), &lease2));
		cr_assert(
			journal_get_instance(j, ends[i] * (JOURNAL_INSTANCES_MAX - 1), &instance2));
		cr_assert(
			journal_get_progress(j, ends[i] * (JOURNAL_INSTANCES_MAX - 1), &progress2));
		cr_assert_eq(memcmp(&domain, &domain2, sizeof(domain)), 0);
		cr_assert_eq(memcmp(&lease, &lease2, sizeof(lease)), 0);
		cr_assert_eq(memcmp(&instance, &instance2, sizeof(instance)), 0);
		cr_assert_eq(memcmp(&progress, &progress2, sizeof(progress)), 0);
	}
	cr_assert(!journal_get_lease(j, 1, &lease2), "and no others");
}

Test(journal, slots_of_all_lengths_and_places_come_back)
{
	static const uint32_t slots[] = { 0, 1, N_SLOTS / 8 * 7 - 1, N_SLOTS / 8 * 7, LARGE };
	static const uint32_t domains[] = { 0, 3, JOURNAL_DOMAINS_MAX - 1 };
	struct journal_slot rec, got;
	uint32_t seed = 0;

	for (int pass = 0; pass < 2; pass++) {
		seed = 0;
		for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
			for (size_t k = 0; k < sizeof(slots) / sizeof(slots[0]); k++) {
				uint32_t max = slots[k] < memory_n_small(N_SLOTS)
						       ? ONEBEAT_SMALL_PAYLOAD
						       : ONEBEAT_LARGE_PAYLOAD;

				seed++;
				fill_slot(&rec, seed,
					  seed % 3 == 0   ? 0
					  : seed % 3 == 1 ? max
							  : max - 3);
				if (pass == 0) {
					cr_assert_eq(
						journal_put_slot(j, domains[i], slots[k], &rec), 0);
					continue;
				}
				memset(&got, 0xff, sizeof(got));
				cr_assert(journal_get_slot(j, domains[i], slots[k], &got));
				cr_assert(same_slot(&rec, &got));
			}
		}
		cr_assert_eq(reopen(), JOURNAL_KEPT);
	}
	cr_assert(!journal_get_slot(j, 3, 2, &got));
	cr_assert(!journal_get_slot(j, 2, 0, &got), "a domain between two used ones");
}

Test(journal, newest_record_counts)
{
	struct journal_slot rec, got;

	for (uint32_t i = 1; i < 100; i++) {
		fill_slot(&rec, i, i * 4);
		cr_assert_eq(journal_put_slot(j, 0, 5, &rec), 0);
		if (i % 7 == 0)
			cr_assert_eq(reopen(), JOURNAL_KEPT);
		cr_assert(journal_get_slot(j, 0, 5, &got));
		cr_assert(same_slot(&rec, &got), "put %u", i);
	}
}

Test(journal, dropped_records_are_gone_and_their_place_is_good)
{
	struct journal_progress progress = { .posted = 1 };
	struct journal_instance instance = { .version = 1 };
	struct journal_lease lease = { .pid = 1 };
	struct journal_slot slot;

	fill_slot(&slot, 1, 100);
	for (int round = 0; round < 3; round++) {
		for (int n = 0; n <= round; n++) { /* one cell used, then both */
			cr_assert_eq(journal_put_lease(j, 9, &lease), 0);
			cr_assert_eq(journal_put_instance(j, 9, &instance), 0);
			cr_assert_eq(journal_put_progress(j, 9, &progress), 0);
			cr_assert_eq(journal_put_slot(j, 1, 9, &slot), 0);
		}
		journal_drop_lease(j, 9);
		journal_drop_instance(j, 9);
		journal_drop_slot(j, 1, 9);
		for (int pass = 0; pass < 2; pass++) {
			cr_assert(!journal_get_lease(j, 9, &lease));
			cr_assert(!journal_get_instance(j, 9, &instance));
			cr_assert(!journal_get_progress(j, 9, &progress));
			cr_assert(!journal_get_slot(j, 1, 9, &slot));
			cr_assert_eq(reopen(), JOURNAL_KEPT);
		}
		fill_slot(&slot, 2, 200);
	}
}

Test(journal, dropping_what_is_not_there_costs_nothing)
{
	const uint64_t before = resident();

	journal_drop_lease(j, 77);
	journal_drop_instance(j, 77);
	journal_drop_slot(j, 5, 77);
	journal_drop_domain(j, 5);
	cr_assert_leq(resident(), before + SLACK);
}

Test(journal, looking_for_records_makes_no_pages)
{
	struct journal_progress progress = { .posted = 1 };
	struct journal_slot slot;
	struct journal_lease lease;
	uint64_t before;

	fill_slot(&slot, 1, 10);
	cr_assert_eq(journal_put_slot(j, 0, 0, &slot), 0);
	cr_assert_eq(reopen(), JOURNAL_KEPT);
	before = resident();
	for (uint32_t i = 0; i < JOURNAL_LEASES_MAX; i++)
		cr_assert(!journal_get_lease(j, i, &lease));
	for (uint32_t i = 0; i < JOURNAL_INSTANCES_MAX; i++)
		cr_assert(!journal_get_progress(j, i, &progress));
	for (uint32_t i = 1; i < N_SLOTS; i++)
		cr_assert(!journal_get_slot(j, 0, i, &slot));
	cr_assert_leq(resident(), before + SLACK);
}

Test(journal, mark_says_which_slot_is_being_adopted)
{
	uint32_t domain, slot;

	journal_mark_adopting(j, 3, 77);
	cr_assert_eq(reopen(), JOURNAL_KEPT);
	journal_adopting(j, &domain, &slot);
	cr_assert_eq(domain, 3);
	cr_assert_eq(slot, 77);
	journal_mark_adopting(j, 0, ONEBEAT_NO_SLOT);
	cr_assert_eq(reopen(), JOURNAL_KEPT);
	journal_adopting(j, &domain, &slot);
	cr_assert_eq(slot, ONEBEAT_NO_SLOT);
}

/* Space. */

Test(journal, small_slot_costs_about_a_kibibyte)
{
	const uint32_t n = memory_n_small(N_SLOTS);
	const uint64_t before = resident();
	struct journal_slot rec;

	for (uint32_t i = 0; i < 3 * n; i++) {
		fill_slot(&rec, i, ONEBEAT_SMALL_PAYLOAD);
		cr_assert_eq(journal_put_slot(j, 0, i % n, &rec), 0);
	}
	cr_assert_leq((resident() - before) / n, 1100);
}

Test(journal, dropped_domain_gives_its_space_back)
{
	const struct journal_domain domain = { .uid = 1 };
	struct journal_domain got_domain;
	const uint64_t before = resident();
	struct journal_slot rec;

	for (int round = 0; round < 2; round++) {
		journal_put_domain(j, 2, &domain);
		for (uint32_t i = 0; i < N_SLOTS; i++) {
			fill_slot(&rec, i, ONEBEAT_SMALL_PAYLOAD);
			cr_assert_eq(journal_put_slot(j, 2, i, &rec), 0);
		}
		cr_assert_gt(resident(), before + 4 * SLACK);
		journal_drop_domain(j, 2);
		cr_assert_leq(resident(), before + SLACK);
		cr_assert(!journal_get_domain(j, 2, &got_domain));
		for (uint32_t i = 0; i < N_SLOTS; i++)
			cr_assert(!journal_get_slot(j, 2, i, &rec));
	}
}

Test(journal, dropped_domain_leaves_the_others_alone)
{
	struct journal_slot rec, got;

	fill_slot(&rec, 1, 50);
	for (uint32_t d = 0; d < 3; d++)
		cr_assert_eq(journal_put_slot(j, d, LARGE, &rec), 0);
	journal_drop_domain(j, 1);
	for (uint32_t d = 0; d < 3; d++)
		cr_assert_eq(journal_get_slot(j, d, LARGE, &got), d != 1);
}

/* An agent that died between dropping a domain and giving its space back has left slots without a domain.
 * They must not turn up in the next uid's. */
Test(journal, new_domain_inherits_nothing)
{
	const struct journal_domain domain = { .uid = 1 };
	struct journal_slot rec;

	fill_slot(&rec, 1, 50);
	cr_assert_eq(journal_put_slot(j, 4, 3, &rec), 0); /* no record of domain 4 */
	cr_assert_eq(reopen(), JOURNAL_KEPT);
	journal_put_domain(j, 4, &domain);
	cr_assert(!journal_get_slot(j, 4, 3, &rec));
	cr_assert_eq(journal_put_slot(j, 4, 3, &rec), 0);
	journal_put_domain(j, 4, &domain);
	cr_assert(journal_get_slot(j, 4, 3, &rec), "the same domain put again keeps its slots");
}

/* Threads: each puts records of its own, in pages that both reserve. */

/* The word alone: low 32 bits, in a file that outlives the agent. */
Test(journal, due_times_are_found_again_around_now)
{
	const uint64_t now_ms = UINT64_C(7) << 32 | 5; /* the words have just wrapped */

	cr_assert_eq(journal_get_due(j, 0, now_ms), CLOCK_NEVER, "nothing was put");
	journal_put_due(j, 0, now_ms - 20);
	journal_put_due(j, 1, now_ms + 5000);
	journal_put_due(j, 2, UINT64_C(7) << 32); /* whose word would be "none" */
	journal_put_due(j, JOURNAL_INSTANCES_MAX - 1, now_ms);
	journal_put_due(j, 3, now_ms);
	journal_put_due(j, 3, CLOCK_NEVER);
	cr_assert_eq(reopen(), JOURNAL_KEPT);
	cr_assert_eq(journal_get_due(j, 0, now_ms), now_ms - 20);
	cr_assert_eq(journal_get_due(j, 1, now_ms), now_ms + 5000);
	cr_assert_eq(journal_get_due(j, 2, now_ms), (UINT64_C(7) << 32) + 1);
	cr_assert_eq(journal_get_due(j, JOURNAL_INSTANCES_MAX - 1, now_ms), now_ms);
	cr_assert_eq(journal_get_due(j, 3, now_ms), CLOCK_NEVER);
}

Test(journal, due_time_goes_with_its_instance)
{
	const struct journal_instance rec = { .version = 1 };

	cr_assert_eq(journal_put_instance(j, 4, &rec), 0);
	journal_put_due(j, 4, 1000);
	journal_put_due(j, 5, 1000);
	journal_drop_instance(j, 4);
	cr_assert_eq(journal_get_due(j, 4, 1000), CLOCK_NEVER,
		     "another instance has the number next");
	cr_assert_eq(journal_get_due(j, 5, 1000), 1000);
}

static void *put_many(void *arg)
{
	const uint32_t first = *(const uint32_t *)arg;

	for (uint32_t i = 0; i < 20000; i++) {
		struct journal_progress rec = { .posted = i,
						.acked = first,
						.delete_attempted = i / 2 };

		if (journal_put_progress(j, first + i % 5000 * 2, &rec) < 0)
			return arg;
	}
	return NULL;
}

Test(journal, threads_with_records_of_their_own_do_not_meet)
{
	static const uint32_t firsts[] = { 0, 1 };
	pthread_t threads[2];
	struct journal_progress rec;

	for (int i = 0; i < 2; i++) {
		uint32_t first = firsts[i];

		cr_assert_eq(pthread_create(&threads[i], NULL, put_many,
					    (void *)(uintptr_t)&firsts[first]),
			     0);
	}
	for (int i = 0; i < 2; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		cr_assert_null(failed);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		cr_assert(journal_get_progress(j, i, &rec));
		cr_assert_eq(rec.acked, i % 2);
		cr_assert_eq(rec.posted, 15000 + i / 2);
		cr_assert_eq(rec.delete_attempted, rec.posted / 2);
	}
}
