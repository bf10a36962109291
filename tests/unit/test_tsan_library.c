/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's own publication against the agent's own drain, in threads over one mapping
 *
 * test_tsan_publish.c has a writer of its own, made from segment.h alone. Here the code that ships meets the code
 * that ships, bell included: ThreadSanitizer sees each access of both sides, and no publication may be torn, lost
 * or slept through.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../libclient/publish.h"
#include "lib/described.h"

#define N_SLOTS 2048u
#define GENERATION 5u
#define N_WRITERS 3u
#define N_VERSIONS 20000u
#define LOST_MS 10000 /* a wake-up that takes so long does not come */

/* A process as the library sees itself: a handle that is attached to one slot. */
struct writer {
	struct onebeat *ob;
	struct place place;
	struct encoded descriptor;
	int agents_end;
	uint32_t seen; /* by the agent */
};

/* Two in one word of dirty bits, one under another upper word, with large blocks. */
static const uint32_t slots[N_WRITERS] = { 32, 33, N_SLOTS - 1 };
static struct memory mem = MEMORY_NULL;
static struct writer writers[N_WRITERS];
static struct drain_copy copy;

static void attach(struct writer *w, uint32_t slot)
{
	const struct onebeat_grant grant = { .slot = slot, .generation = GENERATION };
	int pair[2];

	w->ob = calloc(1, sizeof(*w->ob));
	cr_assert_not_null(w->ob);
	w->ob->map = (struct segment_map){ .data = mem.data,
					   .status = (uint8_t *)mem.status,
					   .data_size = mem.data_size,
					   .n_slots = N_SLOTS,
					   .n_small = mem.n_small,
					   .small_offset = mem.small_offset,
					   .large_offset = mem.large_offset };
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(onebeat__lease_fd_take(&w->ob->lease, pair[0], false), 0);
	w->agents_end = pair[1];
	cr_assert_eq(memory_slot_open(&mem, slot, GENERATION), 0);
	place_set(&w->place, &grant);
}

static void set_up(void)
{
	cr_assert_eq(memory_create(&mem, N_SLOTS), 0);
	for (uint32_t i = 0; i < N_WRITERS; i++)
		attach(&writers[i], slots[i]);
}

static void tear_down(void)
{
	for (uint32_t i = 0; i < N_WRITERS; i++) {
		onebeat__lease_fd_drop(&writers[i].ob->lease);
		close(writers[i].agents_end);
		free(writers[i].ob);
	}
	memory_deinit(&mem);
}

TestSuite(tsan_library, .init = set_up, .fini = tear_down);

static void *publish_all(void *arg)
{
	struct writer *w = arg;
	const uint32_t slot = place_slot(&w->place);
	intptr_t r = 0;

	for (uint32_t version = 1; version <= N_VERSIONS && r == 0; version++) {
		w->descriptor.length = described_length(&mem, slot, version);
		for (uint32_t i = 0; i < w->descriptor.length / 4; i++)
			w->descriptor.words[i] = described_word(slot, version, i);
		r = onebeat__publish(w->ob, &w->place, &w->descriptor);
	}
	return (void *)r;
}

static void take_news(void *ctx, uint32_t slot)
{
	struct writer *w = NULL;
	int r;

	(void)ctx;
	for (uint32_t i = 0; i < N_WRITERS; i++) {
		if (slots[i] == slot)
			w = &writers[i];
	}
	cr_assert_not_null(w, "slot %u is nobody's", slot);
	do
		r = drain_read(&mem, slot, GENERATION, w->seen, &copy);
	while (r == DRAIN_UNSTABLE);
	cr_assert_neq(r, DRAIN_INVALID, "version %u: %s", copy.version, copy.why);
	if (r != DRAIN_READY)
		return;
	cr_assert(described_is_whole(&mem, slot, &copy), "version %u is torn", copy.version);
	cr_assert_gt(copy.version, w->seen);
	w->seen = copy.version;
}

/* As the watcher sleeps: says so, looks once more, and only then waits. False when nobody rang. */
static bool sleep_until_rung(void)
{
	struct pollfd ends[N_WRITERS];
	bool rung = true;
	char bell[16];

	for (uint32_t i = 0; i < N_WRITERS; i++)
		ends[i] = (struct pollfd){ .fd = writers[i].agents_end, .events = POLLIN };
	drain_set_sleeping(&mem, true);
	if (!drain_pending(&mem))
		rung = poll(ends, N_WRITERS, LOST_MS) > 0;
	drain_set_sleeping(&mem, false);
	for (uint32_t i = 0; i < N_WRITERS; i++) {
		while (recv(ends[i].fd, bell, sizeof(bell), MSG_DONTWAIT) > 0)
			;
	}
	return rung;
}

static bool all_seen(void)
{
	bool all = true;

	for (uint32_t i = 0; i < N_WRITERS; i++)
		all = all && writers[i].seen == N_VERSIONS;
	return all;
}

Test(tsan_library, what_it_publishes_is_seen_whole_in_order_and_in_time)
{
	pthread_t threads[N_WRITERS];
	void *r;

	for (uint32_t i = 0; i < N_WRITERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, publish_all, &writers[i]), 0);
	for (;;) {
		drain_dirty(&mem, take_news, NULL);
		if (all_seen())
			break;
		cr_assert(sleep_until_rung(), "a publication stayed unseen");
	}
	for (uint32_t i = 0; i < N_WRITERS; i++) {
		cr_assert_eq(pthread_join(threads[i], &r), 0);
		cr_assert_null(r, "publishing failed with %ld", (long)(intptr_t)r);
	}
}
