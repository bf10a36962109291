/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-over queue on one thread; test_tsan_queue.c has the threads. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "beat/queue.h"

#define N_BEATS 3

static struct beat_queue queue;
static struct beat *beats[N_BEATS];

static void set_up(void)
{
	cr_assert_eq(beat_queue_init(&queue), 0);
	for (uint32_t i = 0; i < N_BEATS; i++)
		beats[i] = beat_new(i, i);
}

static void tear_down(void)
{
	beat_queue_deinit(&queue);
	for (uint32_t i = 0; i < N_BEATS; i++)
		free(beats[i]);
}

TestSuite(queue, .init = set_up, .fini = tear_down);

static struct beat *pop_to_watcher(struct beat_queue *q)
{
	bool returned;

	return beat_pop_to_watcher(q, &returned);
}

static bool rings(void)
{
	return poll(&(struct pollfd){ .fd = queue.event_fd, .events = POLLIN }, 1, 0) == 1;
}

Test(queue, an_empty_one_gives_nothing_and_does_not_ring)
{
	cr_assert_null(beat_pop_to_sender(&queue));
	cr_assert_null(pop_to_watcher(&queue));
	cr_assert_not(rings());
	beat_queue_drain_event(&queue);
}

Test(queue, beats_come_in_the_order_of_their_pushes)
{
	for (int i = 0; i < N_BEATS; i++)
		beat_push_to_sender(&queue, beats[i]);
	for (int i = 0; i < N_BEATS; i++)
		cr_assert_eq(beat_pop_to_sender(&queue), beats[i]);
	cr_assert_null(beat_pop_to_sender(&queue));
}

Test(queue, a_beat_pushed_twice_comes_once)
{
	beat_push_to_sender(&queue, beats[0]);
	beat_push_to_sender(&queue, beats[1]);
	beat_push_to_sender(&queue, beats[0]);
	cr_assert_eq(beat_pop_to_sender(&queue), beats[0]);
	cr_assert_eq(beat_pop_to_sender(&queue), beats[1]);
	cr_assert_null(beat_pop_to_sender(&queue));
}

Test(queue, a_popped_beat_can_be_pushed_again)
{
	for (int i = 0; i < 100; i++) {
		beat_push_to_watcher(&queue, beats[i % 2], false);
		cr_assert_eq(pop_to_watcher(&queue), beats[i % 2]);
		cr_assert_eq(atomic_load(&beats[i % 2]->queued_to_watcher), 0);
	}
	cr_assert_null(pop_to_watcher(&queue));
}

Test(queue, the_two_ways_of_a_beat_are_independent)
{
	struct beat_queue back;

	cr_assert_eq(beat_queue_init(&back), 0);
	beat_push_to_sender(&queue, beats[0]);
	beat_push_to_watcher(&back, beats[0], false);
	beat_push_to_watcher(&back, beats[1], false);
	cr_assert_eq(beat_pop_to_sender(&queue), beats[0]);
	cr_assert_null(beat_pop_to_sender(&queue));
	cr_assert_eq(pop_to_watcher(&back), beats[0]);
	cr_assert_eq(pop_to_watcher(&back), beats[1]);
	beat_queue_deinit(&back);
}

Test(queue, rings_when_it_was_empty_and_only_then)
{
	beat_push_to_sender(&queue, beats[0]);
	cr_assert(rings());
	beat_queue_drain_event(&queue);
	cr_assert_not(rings());
	beat_push_to_sender(&queue, beats[0]);
	beat_push_to_sender(&queue, beats[1]);
	cr_assert_not(rings(), "one ring for each time that the consumer has to come");
	while (beat_pop_to_sender(&queue))
		;
	beat_push_to_sender(&queue, beats[1]);
	cr_assert(rings());
}

/* Who may free a beat */

static void give(void)
{
	beat_push_to_sender(&queue, beats[0]);
}

static void take(void)
{
	cr_assert_eq(beat_pop_to_sender(&queue), beats[0]);
}

static bool comes_back(struct beat_queue *back)
{
	bool returned;

	cr_assert_eq(beat_pop_to_watcher(back, &returned), beats[0]);
	return returned;
}

Test(queue, a_beat_is_returned_with_the_senders_last_word_alone)
{
	struct beat_queue back;

	cr_assert_eq(beat_queue_init(&back), 0);
	for (int i = 0; i < 3; i++) {
		give();
		take();
		beat_push_to_watcher(&back, beats[0], false);
		cr_assert_not(comes_back(&back));
		beat_push_to_watcher(&back, beats[0], true);
		cr_assert(comes_back(&back));
	}
	beat_queue_deinit(&back);
}

Test(queue, a_last_word_counts_though_the_beat_was_queued_already)
{
	struct beat_queue back;

	cr_assert_eq(beat_queue_init(&back), 0);
	give();
	take();
	beat_push_to_watcher(&back, beats[0], false);
	beat_push_to_watcher(&back, beats[0], true);
	cr_assert(comes_back(&back));
	beat_queue_deinit(&back);
}

Test(queue, a_beat_given_again_before_the_last_word_came_is_not_returned)
{
	struct beat_queue back;

	cr_assert_eq(beat_queue_init(&back), 0);
	give();
	give();
	take();
	beat_push_to_watcher(&back, beats[0], true);
	give();
	cr_assert_not(comes_back(&back));
	take();
	beat_push_to_watcher(&back, beats[0], false);
	cr_assert_not(comes_back(&back));
	beat_push_to_watcher(&back, beats[0], true);
	cr_assert(comes_back(&back));
	beat_queue_deinit(&back);
}

Test(queue, a_word_after_the_last_one_takes_it_back)
{
	struct beat_queue back;

	cr_assert_eq(beat_queue_init(&back), 0);
	give();
	take();
	beat_push_to_watcher(&back, beats[0], true);
	give();
	take();
	beat_push_to_watcher(&back, beats[0], false);
	cr_assert_not(comes_back(&back));
	beat_queue_deinit(&back);
}

Test(queue, ends_twice_and_from_null)
{
	struct beat_queue never = BEAT_QUEUE_NULL;

	beat_queue_deinit(&queue);
	cr_assert_eq(queue.event_fd, -1);
	beat_queue_deinit(&queue);
	beat_queue_deinit(&never);
}
