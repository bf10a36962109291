/* SPDX-License-Identifier: Apache-2.0 */
/* What the keeper holds, against a plain list; and answers that wait. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/answers.h"
#include "keeper/holdings.h"

/* Descriptors that are cheap to make and to ask whether they are open. */
static int some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int by_id(const void *a, const void *b)
{
	const struct manifest_entry *x = a, *y = b;

	return x->id != y->id ? (x->id < y->id ? -1 : 1) : (int)x->kind - (int)y->kind;
}

Test(holdings, keeps_kinds_and_ids_apart)
{
	struct holdings h = HOLDINGS_NULL;
	struct manifest_entry list[3];
	int data = some_fd(), status = some_fd(), lease = some_fd();

	cr_assert_eq(holdings_drop(&h, CHANNEL_DATA, 1000), false);
	cr_assert_eq(holdings_put(&h, CHANNEL_DATA, 1000, data), 0);
	cr_assert_eq(holdings_put(&h, CHANNEL_STATUS, 1000, status), 0);
	cr_assert_eq(holdings_put(&h, CHANNEL_LEASE, 1, lease), 0);
	cr_assert_eq(h.n_held, 3);
	holdings_list(&h, list);
	qsort(list, 3, sizeof(list[0]), by_id);
	cr_assert(list[0].kind == CHANNEL_LEASE && list[0].fd == lease);
	cr_assert(list[1].kind == CHANNEL_DATA && list[1].fd == data);
	cr_assert(list[2].kind == CHANNEL_STATUS && list[2].fd == status);
	cr_assert(holdings_drop(&h, CHANNEL_DATA, 1000));
	cr_assert(!is_open(data) && is_open(status));
	cr_assert_eq(holdings_drop(&h, CHANNEL_DATA, 1000), false);
	holdings_deinit(&h);
	cr_assert(!is_open(status) && !is_open(lease));
	holdings_deinit(&h);
}

Test(holdings, closes_what_is_replaced)
{
	struct holdings h = HOLDINGS_NULL;
	int first = some_fd(), second = some_fd();
	struct manifest_entry only;

	cr_assert_eq(holdings_put(&h, CHANNEL_LEASE, 1, first), 0);
	cr_assert_eq(holdings_put(&h, CHANNEL_LEASE, 1, second), 0);
	cr_assert(!is_open(first) && is_open(second));
	cr_assert_eq(h.n_held, 1);
	holdings_list(&h, &only);
	cr_assert_eq(only.fd, second);
	holdings_deinit(&h);
}

/*
 * Few ids, often put and dropped, in a table that is kept crowded: probe runs wrap, join and part.
 */
Test(holdings, agrees_with_a_plain_list)
{
	enum {
		N_IDS = 150,
		N_STEPS = 200000
	};
	struct holdings h = HOLDINGS_NULL;
	int model[N_IDS];
	struct manifest_entry list[N_IDS];
	uint32_t n_model = 0;
	uint64_t x = 88172645463325252u;

	memset(model, -1, sizeof(model));
	for (int step = 0; step < N_STEPS; step++) {
		size_t i;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		i = (size_t)(x >> 32) % N_IDS;
		if (x & 1) {
			int fd = some_fd();

			n_model += model[i] < 0;
			cr_assert_eq(holdings_put(&h, CHANNEL_LEASE, i << 40, fd), 0);
			model[i] = fd;
		} else {
			cr_assert_eq(holdings_drop(&h, CHANNEL_LEASE, i << 40), model[i] >= 0);
			n_model -= model[i] >= 0;
			model[i] = -1;
		}
		cr_assert_eq(h.n_held, n_model);
	}
	holdings_list(&h, list);
	for (uint32_t n = 0; n < h.n_held; n++) {
		cr_assert_eq(model[list[n].id >> 40], list[n].fd);
		cr_assert(is_open(list[n].fd));
		model[list[n].id >> 40] = -1;
	}
	for (size_t i = 0; i < N_IDS; i++)
		cr_assert_eq(model[i], -1, "id %zu is not listed", i);
	holdings_deinit(&h);
}

/* More than a socket takes: order kept, nothing lost, and the sender never waits. */
Test(holdings, answers_wait_until_there_is_room, .timeout = 20)
{
	static struct answers a;
	struct channel_msg msg = { .version = CHANNEL_VERSION, .type = CHANNEL_HELD };
	uint64_t next = 0;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	for (msg.id = 0; !answers_full(&a); msg.id++)
		answers_push(&a, &msg);
	cr_assert_eq(msg.id, ANSWERS_MAX);
	cr_assert_eq(answers_send(&a, pair[0]), -EAGAIN);
	cr_assert(a.n_waiting > 0 && !answers_full(&a));
	answers_push(&a, &msg); /* behind the others, across the end of the ring */
	while (next <= ANSWERS_MAX) {
		struct channel_msg got;
		int fd;

		cr_assert_eq(channel_receive(pair[1], &got, &fd, 0), 1);
		cr_assert_eq(got.id, next++);
		cr_assert(answers_send(&a, pair[0]) <= 0);
	}
	cr_assert_eq(a.n_waiting, 0);
	close(pair[1]);
	answers_push(&a, &msg);
	cr_assert_eq(answers_send(&a, pair[0]), -EPIPE);
}
