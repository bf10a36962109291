/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest: what is written is read, and what is not a manifest is refused. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/manifest.h"

static const struct manifest_head head = {
	.n_entries = 2, .quarantine = 1, .n_restarts = 5, .keeper_pid = 4711
};
static const struct manifest_entry entries[2] = {
	{ .kind = CHANNEL_LINK, .fd = 3 },
	{ .kind = CHANNEL_LEASE, .fd = 4, .id = UINT64_C(0xfedcba9876543210) },
};

static int good(void)
{
	int fd = manifest_write(&head, entries);

	cr_assert(fd >= 0);
	return fd;
}

static int read_back(int fd)
{
	struct manifest_head got;
	struct manifest_entry *list = NULL;
	int r = manifest_read(fd, &got, &list);

	cr_assert(r == 0 || !list);
	free(list);
	cr_assert_eq(fcntl(fd, F_GETFD), -1, "left open");
	return r;
}

Test(manifest, comes_back_as_it_was_written)
{
	struct manifest_head got;
	struct manifest_entry *list;
	int fd = good();

	cr_assert_eq(fcntl(fd, F_GETFD), 0, "it is to be inherited");
	cr_assert_eq(manifest_read(fd, &got, &list), 0);
	cr_assert_eq(got.n_entries, 2);
	cr_assert_eq(got.quarantine, 1);
	cr_assert_eq(got.n_restarts, 5);
	cr_assert_eq(got.keeper_pid, 4711);
	cr_assert_eq(memcmp(list, entries, sizeof(entries)), 0);
	free(list);
}

Test(manifest, may_be_empty_or_large)
{
	enum {
		N = 60000
	};
	struct manifest_head large = head;
	struct manifest_head got;
	struct manifest_entry *list = calloc(N, sizeof(*list));
	struct manifest_entry *back;

	cr_assert(list);
	for (int i = 0; i < N; i++)
		list[i] = (struct manifest_entry){ .kind = CHANNEL_LEASE,
						   .fd = i,
						   .id = (uint64_t)i * 7 };
	large.n_entries = N;
	cr_assert_eq(manifest_read(manifest_write(&large, list), &got, &back), 0);
	cr_assert_eq(got.n_entries, N);
	cr_assert_eq(memcmp(list, back, N * sizeof(*list)), 0);
	free(back);
	large.n_entries = 0;
	cr_assert_eq(read_back(manifest_write(&large, NULL)), 0);
	free(list);
}

/* Overwrites size bytes at offset. */
static int spoilt(off_t offset, const void *bytes, size_t size)
{
	int fd = good();

	cr_assert_eq(pwrite(fd, bytes, size, offset), (ssize_t)size);
	return read_back(fd);
}

Test(manifest, is_refused_when_malformed)
{
	const uint32_t other = 12345, none = 0, huge = UINT32_MAX, beyond = CHANNEL_SETTINGS + 1;
	const int32_t negative = -1;
	const off_t second = sizeof(head) + sizeof(entries[0]);
	const size_t kind = offsetof(struct manifest_entry, kind);
	const size_t fd = offsetof(struct manifest_entry, fd);

	cr_assert_eq(spoilt(offsetof(struct manifest_head, magic), &other, 4), -EBADMSG);
	cr_assert_eq(spoilt(offsetof(struct manifest_head, version), &other, 4), -EPROTO);
	cr_assert_eq(spoilt(offsetof(struct manifest_head, n_entries), &other, 4), -EBADMSG);
	cr_assert_eq(spoilt(offsetof(struct manifest_head, n_entries), &huge, 4), -EBADMSG);
	cr_assert_eq(spoilt(second + (off_t)kind, &none, 4), -EBADMSG);
	cr_assert_eq(spoilt(second + (off_t)kind, &beyond, 4), -EBADMSG);
	cr_assert_eq(spoilt(second + (off_t)fd, &negative, 4), -EBADMSG);
	cr_assert_eq(spoilt(second + (off_t)sizeof(entries[1]), &none, 1), -EBADMSG);
}

Test(manifest, is_refused_when_cut_or_no_file)
{
	const off_t whole = sizeof(head) + sizeof(entries);
	int pipe_fds[2];

	for (off_t size = 0; size < whole; size++) {
		int fd = good();

		cr_assert_eq(ftruncate(fd, size), 0);
		cr_assert_eq(read_back(fd), -EBADMSG, "cut to %d bytes", (int)size);
	}
	cr_assert_eq(pipe(pipe_fds), 0);
	cr_assert_eq(read_back(pipe_fds[0]), -ESPIPE);
	cr_assert_eq(read_back(pipe_fds[0]), -EBADF);
}
