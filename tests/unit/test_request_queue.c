/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/* The request queue: whose turn it is, and what goes first in a turn. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "http/request_queue.h"

static void push(struct request_queue *q, enum http_method method, uint32_t owner, uint32_t serial)
{
	struct request *request = request_queue_new(method, "/", owner, NULL, serial);

	cr_assert(request);
	request_queue_push(q, request);
}

static uint32_t pop(struct request_queue *q)
{
	struct request *request = request_queue_pop(q);
	uint32_t serial;

	cr_assert(request);
	serial = request->serial;
	request_queue_free(request);
	return serial;
}

Test(request_queue, one_owner_is_served_in_order_and_deletes_first)
{
	struct request_queue q;

	request_queue_init(&q);
	push(&q, HTTP_POST, 5, 1);
	push(&q, HTTP_DELETE, 5, 2);
	push(&q, HTTP_POST, 5, 3);
	push(&q, HTTP_DELETE, 5, 4);
	cr_assert_eq(pop(&q), 2);
	cr_assert_eq(pop(&q), 4);
	cr_assert_eq(pop(&q), 1);
	cr_assert_eq(pop(&q), 3);
	cr_assert(request_queue_empty(&q));
	cr_assert_null(request_queue_pop(&q));
}

/* Behind ten thousand requests of one, another waits for one of them. */
static void check_crowd(uint32_t crowd, uint32_t other)
{
	struct request_queue q;
	uint32_t n = 0;

	request_queue_init(&q);
	for (uint32_t i = 0; i < 10000; i++)
		push(&q, i % 2 ? HTTP_POST : HTTP_DELETE, crowd, 0);
	push(&q, HTTP_POST, other, 1);
	while (pop(&q) != 1)
		n++;
	cr_assert_leq(n, 1);
	request_queue_deinit(&q);
	cr_assert(request_queue_empty(&q));
}

Test(request_queue, a_crowd_of_one_owner_delays_another_by_one)
{
	check_crowd(9, 3);
	check_crowd(3, 9);
}

Test(request_queue, moving_keeps_owners_and_order)
{
	struct request_queue a, b;

	request_queue_init(&a);
	request_queue_init(&b);
	push(&a, HTTP_POST, 0, 1);
	push(&b, HTTP_POST, 0, 2);
	push(&b, HTTP_POST, 1, 3);
	request_queue_move(&a, &b);
	cr_assert(request_queue_empty(&b));
	cr_assert_eq(pop(&a), 1);
	cr_assert_eq(pop(&a), 3);
	cr_assert_eq(pop(&a), 2);
	cr_assert(request_queue_empty(&a));
}
