/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: a watch that is gone has no events
 *
 * Its place in the table is the next watch's, and its descriptor may live on as somebody's duplicate (the keeper
 * has one of every lease): in both cases an event may be on its way.
 */
#include <criterion/criterion.h>

#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"

#define WAIT_MS 10000

static struct loop loop;
static int pairs[3][2];

static void set_up(void)
{
	cr_assert_eq(loop_init(&loop), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[i]), 0);
}

static void tear_down(void)
{
	loop_deinit(&loop);
}

TestSuite(loop, .init = set_up, .fini = tear_down, .timeout = 30);

static void ring(int i)
{
	cr_assert_eq(send(pairs[i][1], "!", 1, 0), 1);
}

static void count(void *ctx, uint32_t events)
{
	(void)events;
	++*(int *)ctx;
}

static uint64_t watches[3];
static int n_first, n_heir;

/* Of two that are ready in one turn, whichever comes first puts the heir into the other's place. */
static void replace_other(void *ctx, uint32_t events)
{
	int self = *(const int *)ctx, other = 1 - self;
	char byte;

	(void)events;
	n_first++;
	cr_assert_eq(recv(pairs[self][0], &byte, 1, 0), 1);
	loop_remove(&loop, &watches[other], pairs[other][0]);
	cr_assert_eq(loop_add(&loop, pairs[2][0], EPOLLIN, count, &n_heir, &watches[2]), 0);
}

Test(loop, event_of_a_removed_watch_is_not_taken_for_its_heir)
{
	static const int numbers[] = { 0, 1 };

	for (int i = 0; i < 2; i++)
		cr_assert_eq(loop_add(&loop, pairs[i][0], EPOLLIN, replace_other,
				      (void *)(uintptr_t)&numbers[i], &watches[i]),
			     0);
	ring(0);
	ring(1);
	cr_assert_eq(loop_turn(&loop, WAIT_MS), 2);
	cr_assert_eq(n_first, 1);
	cr_assert_eq((uint32_t)watches[2], watches[0] == LOOP_NO_WATCH ? 0 : 1, "the same place");
	cr_assert_eq(n_heir, 0);
	ring(2);
	while (n_heir == 0)
		cr_assert_geq(loop_turn(&loop, WAIT_MS), 1, "its own events do come");
}

/* Closed before it was taken out: a duplicate keeps the registration alive, and it goes on speaking. */
Test(loop, event_of_a_duplicate_that_lives_on_is_dropped)
{
	int n_old = 0, duplicate = dup(pairs[0][0]);
	uint64_t old, heir;

	cr_assert(duplicate >= 0);
	cr_assert_eq(loop_add(&loop, pairs[0][0], EPOLLIN, count, &n_old, &old), 0);
	close(pairs[0][0]);
	loop_remove(&loop, &old, pairs[0][0]);
	cr_assert_eq(old, LOOP_NO_WATCH);
	cr_assert_eq(loop_add(&loop, pairs[1][0], EPOLLIN, count, &n_heir, &heir), 0);
	ring(0);
	cr_assert_eq(loop_turn(&loop, WAIT_MS), 1, "the kernel does tell of it");
	cr_assert(n_old == 0 && n_heir == 0);
	close(duplicate);
	ring(1);
	cr_assert_eq(loop_turn(&loop, WAIT_MS), 1);
	cr_assert(n_old == 0 && n_heir == 1);
}

Test(loop, remove_may_be_called_twice_and_takes_no_heir)
{
	uint64_t watch, copy, heir;
	int n = 0;

	cr_assert_eq(loop_add(&loop, pairs[0][0], EPOLLIN, count, &n, &watch), 0);
	copy = watch;
	loop_remove(&loop, &watch, pairs[0][0]);
	loop_remove(&loop, &watch, pairs[0][0]);
	cr_assert_eq(loop_add(&loop, pairs[0][0], EPOLLIN, count, &n, &heir), 0);
	loop_remove(&loop, &copy, pairs[1][0]);
	ring(0);
	cr_assert_eq(loop_turn(&loop, WAIT_MS), 1);
	cr_assert_eq(n, 1);
}

Test(loop, serves_more_watches_than_one_turn_and_than_its_first_table)
{
	enum {
		N = 600
	};
	static int ends[N][2];
	static uint64_t many[N];
	int n = 0;

	for (int i = 0; i < N; i++) {
		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends[i]), 0);
		cr_assert_eq(loop_add(&loop, ends[i][0], EPOLLIN | EPOLLONESHOT, count, &n,
				      &many[i]),
			     0);
		cr_assert_eq(send(ends[i][1], "!", 1, 0), 1);
	}
	while (n < N)
		cr_assert_geq(loop_turn(&loop, WAIT_MS), 1);
	cr_assert_eq(n, N);
	cr_assert_eq(loop_turn(&loop, 0), 0);
}
