/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers and the agent in threads, over one mapping
 *
 * ThreadSanitizer sees neither other processes nor a second mapping of the same file, so here everybody uses
 * the very same addresses. What it looks for is an access that the protocol forgot to make atomic; the
 * counts and contents are checked besides.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/described.h"
#include "segment/status_line.h"
#include <onebeat/onebeat.h>

#define N_SLOTS 2048u
#define GENERATION 5u
#define N_VERSIONS 20000u
#define LOOK_S 4      /* at most, for the races that need luck */
#define LOST_MS 10000 /* a wake-up that takes so long does not come */

static struct memory mem = MEMORY_NULL;

static void set_up(void)
{
	cr_assert_eq(memory_create(&mem, N_SLOTS), 0);
}

static void tear_down(void)
{
	memory_deinit(&mem);
}

TestSuite(tsan_publish, .init = set_up, .fini = tear_down);

static void start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	cr_assert_eq(pthread_create(thread, NULL, fn, arg), 0);
}

/* A writer and a reader. */

static void *publish_all(void *arg)
{
	const uint32_t *slot = arg;

	for (uint32_t version = 1; version <= N_VERSIONS; version++)
		described_publish(&mem, *slot, GENERATION, version);
	return NULL;
}

static void read_to_the_end(uint32_t slot)
{
	struct drain_copy copy;
	uint32_t last = 0;

	while (last != N_VERSIONS) {
		int r = drain_read(&mem, slot, GENERATION, last, &copy);

		cr_assert_neq(r, DRAIN_INVALID, "version %u: %s", copy.version, copy.why);
		if (r != DRAIN_READY)
			continue;
		cr_assert(described_is_whole(&mem, slot, &copy), "version %u is torn",
			  copy.version);
		cr_assert_gt(copy.version, last);
		last = copy.version;
	}
}

Test(tsan_publish, versions_are_whole_and_in_order)
{
	uint32_t slots[] = { 3, N_SLOTS - 1 };

	for (int i = 0; i < 2; i++) {
		pthread_t writer;

		cr_assert_eq(memory_slot_open(&mem, slots[i], GENERATION), 0);
		start(&writer, publish_all, &slots[i]);
		read_to_the_end(slots[i]);
		pthread_join(writer, NULL);
	}
}

/* Dirty bits, the sleeping word and the bell: no wake-up is lost, and no publication. */

static int bell;

struct ringer {
	uint32_t slot;
	uint32_t n_versions;
};

static void *publish_and_ring(void *arg)
{
	const struct ringer *ringer = arg;

	for (uint32_t version = 1; version <= ringer->n_versions; version++) {
		described_publish(&mem, ringer->slot, GENERATION, version);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load_explicit(&mem.status->sleeping, memory_order_relaxed))
			eventfd_write(bell, 1);
	}
	return NULL;
}

struct drained {
	uint32_t last[N_SLOTS];
	uint32_t n_read;
};

static void take_news(void *ctx, uint32_t slot)
{
	struct drained *d = ctx;
	struct drain_copy copy;
	int r;

	do
		r = drain_read(&mem, slot, GENERATION, d->last[slot], &copy);
	while (r == DRAIN_UNSTABLE);
	cr_assert_neq(r, DRAIN_INVALID, "%s", copy.why);
	if (r == DRAIN_READY) {
		d->last[slot] = copy.version;
		d->n_read++;
	}
}

/* As the watcher sleeps: says so, looks once more, and only then waits. False when nobody rang. */
static bool sleep_until_rung(void)
{
	struct pollfd pfd = { .fd = bell, .events = POLLIN };
	bool rung = true;
	eventfd_t n;

	drain_set_sleeping(&mem, true);
	if (!drain_pending(&mem))
		rung = poll(&pfd, 1, LOST_MS) == 1;
	drain_set_sleeping(&mem, false);
	(void)eventfd_read(bell, &n);
	return rung;
}

Test(tsan_publish, nobody_sleeps_through_a_publication)
{
	/* Two in one word of bits, one in another word, one under another upper word. */
	static struct ringer ringers[] = {
		{ 32, 30000 }, { 33, 30000 }, { 64, 30000 }, { 1500, 30000 }
	};
	static struct drained d;
	pthread_t threads[4];
	bool done = false;

	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(memory_slot_open(&mem, ringers[i].slot, GENERATION), 0);
	for (int i = 0; i < 4; i++)
		start(&threads[i], publish_and_ring, &ringers[i]);
	while (!done) {
		drain_dirty(&mem, take_news, &d);
		done = true;
		for (int i = 0; i < 4; i++)
			done = done && d.last[ringers[i].slot] == ringers[i].n_versions;
		if (!done)
			cr_assert(sleep_until_rung(), "a publication stayed unseen");
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_assert_geq(d.n_read, 4);
	close(bell);
}

/*
 * The same with one writer that goes on only when it was heard, so that each publication meets the agent on
 * its way to sleep, and nobody comes after it to wake the agent in its place.
 */
static _Atomic uint32_t heard;
static _Atomic bool given_up;

static void *publish_one_by_one(void *arg)
{
	const struct ringer *ringer = arg;

	for (uint32_t version = 1; version <= ringer->n_versions; version++) {
		while (atomic_load_explicit(&heard, memory_order_relaxed) != version - 1) {
			if (atomic_load_explicit(&given_up, memory_order_relaxed))
				return NULL;
		}
		writer_publish(&mem, ringer->slot, GENERATION, version, ONEBEAT_OP_LIVE, NULL, 0);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load_explicit(&mem.status->sleeping, memory_order_relaxed))
			eventfd_write(bell, 1);
	}
	return NULL;
}

/* The writer needs a moment to hear; a different one each time, so that both meet at every step. */
static void dawdle(uint32_t n)
{
	while (n-- > 0)
		atomic_signal_fence(memory_order_seq_cst);
}

Test(tsan_publish, publication_at_the_moment_of_falling_asleep_is_heard)
{
	static struct ringer ringer = { 40, 200000 };
	static struct drained d;
	const time_t start_s = time(NULL);
	pthread_t writer;
	bool rung = true;

	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cr_assert_eq(memory_slot_open(&mem, ringer.slot, GENERATION), 0);
	start(&writer, publish_one_by_one, &ringer);
	for (;;) {
		drain_dirty(&mem, take_news, &d);
		if (d.last[ringer.slot] == ringer.n_versions || time(NULL) - start_s >= LOOK_S)
			break;
		atomic_store_explicit(&heard, d.last[ringer.slot], memory_order_relaxed);
		dawdle(d.last[ringer.slot] * 7 % 512);
		rung = sleep_until_rung();
		if (!rung)
			break;
	}
	atomic_store(&given_up, true);
	pthread_join(writer, NULL);
	cr_assert(rung, "publication %u stayed unseen", d.last[ringer.slot] + 1);
	cr_assert_gt(d.n_read, 10);
	close(bell);
}

/* The status line: watcher writes, sender beats, client reads. */

static _Atomic bool stop;

static void *beat_on(void *arg)
{
	struct onebeat_status_line *line = arg;

	for (uint64_t now_ms = 1; !atomic_load(&stop); now_ms++)
		status_line_beat(line, now_ms);
	return NULL;
}

static void *look_at_line(void *arg)
{
	const struct onebeat_status_line *line = arg;
	const onebeat_word *words = &line->version;
	uint32_t last = 0;

	while (!atomic_load(&stop)) {
		uint32_t version = atomic_load_explicit(&line->version, memory_order_acquire);
		uint32_t judged = atomic_load_explicit(&line->judged, memory_order_relaxed);

		/* The words of a version are there when the version is. */
		if (version < last || judged + 1 < version)
			return arg;
		last = version;
		for (size_t i = 0; i < sizeof(*line) / sizeof(*words); i++)
			(void)atomic_load_explicit(&words[i], memory_order_relaxed);
	}
	return NULL;
}

Test(tsan_publish, status_line_is_read_while_two_threads_write_it)
{
	struct onebeat_status_line *line = memory_line(&mem, 3);
	struct status_line said = { .state = ONEBEAT_STATE_UP, .ip = "10.0.0.1" };
	pthread_t beater, looker;
	void *wrong;

	cr_assert_eq(memory_slot_open(&mem, 3, GENERATION), 0); /* version 1 */
	start(&beater, beat_on, line);
	start(&looker, look_at_line, line);
	for (uint32_t i = 1; i <= N_VERSIONS; i++) {
		said.judged = i; /* version i + 1 */
		said.text = i % 2 ? "a text" : "another text";
		status_line_write(line, GENERATION, &said);
	}
	atomic_store(&stop, true);
	pthread_join(beater, NULL);
	pthread_join(looker, &wrong);
	cr_assert_null(wrong);
	cr_assert_eq(status_line_version(line), N_VERSIONS + 1);
}
