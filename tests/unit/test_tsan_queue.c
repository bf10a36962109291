/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beats handed to and fro between threads that sleep on the queues' eventfds
 *
 * A lost wake-up shows as a thread that nobody wakes for 20 s; lost or torn news as a wrong number;
 * a missing order between news and flag as a report of ThreadSanitizer. (liburcu's queue itself is
 * in a library that TSan does not see, so the order must come from the flags: which is what they
 * are for.)
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "beat/queue.h"

#define N_BEATS 64u
#define N_ROUNDS 500u
#define N_PUSHES 60000u
#define PATIENCE_MS 20000

struct hand_over {
	struct beat_queue to_sender;
	struct beat_queue to_watcher;
	struct beat *beats[N_BEATS];
	_Atomic bool stop;
	_Atomic uint32_t n_wrong;
	_Atomic uint32_t n_asleep; /* threads that waited in vain */
};

static struct hand_over *hand_over_new(void)
{
	struct hand_over *h = calloc(1, sizeof(*h));

	cr_assert_eq(beat_queue_init(&h->to_sender), 0);
	cr_assert_eq(beat_queue_init(&h->to_watcher), 0);
	for (uint32_t i = 0; i < N_BEATS; i++)
		h->beats[i] = beat_new(i, i);
	return h;
}

static void hand_over_free(struct hand_over *h)
{
	beat_queue_deinit(&h->to_sender);
	beat_queue_deinit(&h->to_watcher);
	for (uint32_t i = 0; i < N_BEATS; i++)
		free(h->beats[i]);
	free(h);
}

/* False when nobody rang. */
static bool await_ring(struct hand_over *h, struct beat_queue *q)
{
	struct pollfd fd = { .fd = q->event_fd, .events = POLLIN };

	if (poll(&fd, 1, PATIENCE_MS) != 1) {
		atomic_fetch_add(&h->n_asleep, 1);
		return false;
	}
	beat_queue_drain_event(q);
	return true;
}

/*
 * Ownership goes with the beat: plain fields, written by one side, read and answered by the other.
 */

static void *answer_each(void *arg)
{
	struct hand_over *h = arg;
	uint32_t n_left = N_BEATS * N_ROUNDS;
	struct beat *beat;

	while (n_left > 0 && await_ring(h, &h->to_sender)) {
		while ((beat = beat_pop_to_sender(&h->to_sender))) {
			if (beat->past.posted != beat->request_version + 1)
				atomic_fetch_add(&h->n_wrong, 1);
			beat->request_version = beat->past.posted;
			beat_push_to_watcher(&h->to_watcher, beat, false);
			n_left--;
		}
	}
	return NULL;
}

Test(tsan_queue, what_was_written_before_a_push_is_read_after_the_pop)
{
	struct hand_over *h = hand_over_new();
	uint32_t n_left = N_BEATS * N_ROUNDS;
	struct beat *beat;
	pthread_t sender;
	bool returned;

	cr_assert_eq(pthread_create(&sender, NULL, answer_each, h), 0);
	for (uint32_t i = 0; i < N_BEATS; i++) {
		h->beats[i]->past.posted = 1;
		beat_push_to_sender(&h->to_sender, h->beats[i]);
	}
	while (n_left > 0 && await_ring(h, &h->to_watcher)) {
		while ((beat = beat_pop_to_watcher(&h->to_watcher, &returned))) {
			n_left--;
			if (beat->request_version != beat->past.posted)
				atomic_fetch_add(&h->n_wrong, 1);
			if (beat->past.posted == N_ROUNDS)
				continue;
			beat->past.posted++;
			beat_push_to_sender(&h->to_sender, beat);
		}
	}
	pthread_join(sender, NULL);
	cr_assert_eq(h->n_asleep, 0);
	cr_assert_eq(n_left, 0);
	cr_assert_eq(h->n_wrong, 0);
	hand_over_free(h);
}

/*
 * Wishes change while the beat is queued, being popped, being served: the last one must be served.
 */

static void *serve(void *arg)
{
	struct hand_over *h = arg;
	struct beat *beat;

	while (!atomic_load(&h->stop) && await_ring(h, &h->to_sender)) {
		while ((beat = beat_pop_to_sender(&h->to_sender))) {
			uint32_t want = atomic_load_explicit(&beat->want_version,
							     memory_order_relaxed);

			atomic_store_explicit(&beat->acked, want, memory_order_relaxed);
			beat_push_to_watcher(&h->to_watcher, beat, false);
		}
	}
	return NULL;
}

static bool all_served(const struct hand_over *h)
{
	for (uint32_t i = 0; i < N_BEATS; i++)
		if (atomic_load(&h->beats[i]->acked) != atomic_load(&h->beats[i]->want_version))
			return false;
	return true;
}

Test(tsan_queue, the_last_of_many_wishes_is_served)
{
	struct hand_over *h = hand_over_new();
	pthread_t sender;
	bool returned;

	cr_assert_eq(pthread_create(&sender, NULL, serve, h), 0);
	for (uint32_t i = 0; i < N_PUSHES; i++) {
		struct beat *beat = h->beats[i * 31 % N_BEATS];

		atomic_fetch_add_explicit(&beat->want_version, 1, memory_order_relaxed);
		beat_push_to_sender(&h->to_sender, beat);
	}
	while (!all_served(h) && await_ring(h, &h->to_watcher))
		while (beat_pop_to_watcher(&h->to_watcher, &returned))
			;
	atomic_store(&h->stop, true);
	beat_push_to_sender(&h->to_sender, h->beats[0]);
	pthread_join(sender, NULL);
	cr_assert(all_served(h));
	cr_assert_eq(h->n_asleep, 0);
	hand_over_free(h);
}

/*
 * The watcher gives beats as it likes and frees what is returned, the sender gives its last word at
 * once.
 */

static void *give_back(void *arg)
{
	struct hand_over *h = arg;
	struct beat *beat;

	while (!atomic_load(&h->stop) && await_ring(h, &h->to_sender)) {
		while ((beat = beat_pop_to_sender(&h->to_sender))) {
			beat->request_version++; /* its own as long as it has the beat */
			if (beat->id % 2)
				beat_push_to_watcher(&h->to_watcher, beat, false);
			beat_push_to_watcher(&h->to_watcher, beat, true);
		}
	}
	return NULL;
}

static uint32_t replace_returned(struct hand_over *h)
{
	uint32_t n_freed = 0;
	struct beat *beat;
	bool returned;

	while ((beat = beat_pop_to_watcher(&h->to_watcher, &returned))) {
		uint32_t id = beat->id;

		if (!returned)
			continue;
		/*
		 * Would be a use after free in the sender; n_taken is the sender's, if it has the
		 * beat.
		 */
		if (atomic_load(&beat->queued_to_sender) != 0 || beat->n_taken != beat->n_given)
			atomic_fetch_add(&h->n_wrong, 1);
		free(beat);
		h->beats[id] = beat_new(id, id);
		n_freed++;
	}
	return n_freed;
}

Test(tsan_queue, a_returned_beat_can_be_freed)
{
	struct hand_over *h = hand_over_new();
	uint32_t n_freed = 0;
	pthread_t sender;

	cr_assert_eq(pthread_create(&sender, NULL, give_back, h), 0);
	for (uint32_t i = 0; i < N_PUSHES; i++) {
		beat_push_to_sender(&h->to_sender, h->beats[i * 31 % 16]);
		/* Not each time, so that beats are given again whose last word waits here. */
		if (i % 41 == 0)
			n_freed += replace_returned(h);
	}
	/* Every beat comes back in the end: none is lost. */
	for (uint32_t i = 0; i < N_BEATS; i++) {
		uint32_t n_before = n_freed;

		beat_push_to_sender(&h->to_sender, h->beats[i]);
		while (n_freed == n_before && await_ring(h, &h->to_watcher))
			n_freed += replace_returned(h);
	}
	atomic_store(&h->stop, true);
	beat_push_to_sender(&h->to_sender, h->beats[0]);
	pthread_join(sender, NULL);
	cr_assert_gt(n_freed, N_BEATS);
	cr_assert_eq(h->n_asleep, 0);
	cr_assert_eq(h->n_wrong, 0);
	hand_over_free(h);
}
