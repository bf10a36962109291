/* SPDX-License-Identifier: Apache-2.0 */
/* What a keeper leaves to the program that takes its place: read as written, and anything else refused. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/state.h"

static const struct state_head head = { .n_entries = 2,
					.agent_pid = 4711,
					.agent_can = CHANNEL_CAN_YIELD,
					.ready_ms = UINT64_C(0x123456789a),
					.mask = 1u << 14,
					.n_restarts = 5,
					.from_version = "0.0.9",
					.runtime_dir = "/run/onebeat" };
static const struct manifest_entry entries[2] = {
	{ .kind = STATE_LOCK, .fd = 3 },
	{ .kind = CHANNEL_LEASE, .fd = 4, .id = UINT64_C(0xfedcba9876543210) },
};

static int good(void)
{
	int fd = state_write(&head, entries);

	cr_assert(fd >= 0);
	return fd;
}

static void spoil(int fd, off_t at, const void *bytes, size_t n)
{
	cr_assert_eq(pwrite(fd, bytes, n, at), (ssize_t)n);
}

static int read_back(int fd)
{
	struct state_head got;
	struct manifest_entry *list = NULL;
	int r = state_read(fd, &got, &list);

	cr_assert(r == 0 || !list);
	free(list);
	cr_assert_eq(fcntl(fd, F_GETFD), -1, "left open");
	return r;
}

Test(keeper_state, comes_back_as_it_was_left)
{
	struct state_head got;
	struct manifest_entry *list;
	int fd = good();

	cr_assert_eq(fcntl(fd, F_GETFD), 0, "it is to go through the exec");
	cr_assert_eq(state_read(fd, &got, &list), 0);
	cr_assert_eq(got.magic, STATE_MAGIC);
	cr_assert_eq(got.version, STATE_VERSION);
	cr_assert_eq(memcmp((char *)&got + 8, (const char *)&head + 8, sizeof(head) - 8), 0);
	cr_assert_eq(memcmp(list, entries, sizeof(entries)), 0);
	free(list);
}

/* The program that is asked beforehand says no, and the running one goes on. */
Test(keeper_state, of_another_version_is_refused)
{
	const uint32_t other = STATE_VERSION + 1;
	int fd = good();

	spoil(fd, offsetof(struct state_head, version), &other, sizeof(other));
	cr_assert_eq(read_back(fd), -EPROTO);
}

Test(keeper_state, that_is_none_is_refused)
{
	const uint32_t magic = 1, kind = 99;
	const char ones[128] = { [0 ... 127] = 1 };
	int fd = good();

	spoil(fd, 0, &magic, sizeof(magic));
	cr_assert_eq(read_back(fd), -EBADMSG);

	fd = good();
	spoil(fd, sizeof(head), &kind, sizeof(kind));
	cr_assert_eq(read_back(fd), -EBADMSG, "a kind that nobody knows");

	fd = good();
	spoil(fd, offsetof(struct state_head, runtime_dir), ones, sizeof(head.runtime_dir));
	cr_assert_eq(read_back(fd), -EBADMSG, "a text without end");

	fd = good();
	spoil(fd, offsetof(struct state_head, from_version), ones, sizeof(head.from_version));
	cr_assert_eq(read_back(fd), -EBADMSG, "a text without end");
}

Test(keeper_state, cut_anywhere_is_refused)
{
	for (off_t size = 0; size < (off_t)(sizeof(head) + sizeof(entries)); size++) {
		int fd = good();

		cr_assert_eq(ftruncate(fd, size), 0);
		cr_assert_eq(read_back(fd), -EBADMSG, "cut at %lld", (long long)size);
	}
}
