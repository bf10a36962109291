/* SPDX-License-Identifier: Apache-2.0 */
/* The channel between keeper and agent: messages whole, descriptors never lost or leaked. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/channel.h"

static int ours, theirs;

static void open_pair(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ours = pair[0];
	theirs = pair[1];
}

TestSuite(channel, .init = open_pair, .timeout = 20);

static const struct channel_msg lease = { .version = CHANNEL_VERSION,
					  .type = CHANNEL_HOLD,
					  .kind = CHANNEL_LEASE,
					  .status = 7,
					  .id = UINT64_C(0xfedcba9876543210) };

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	cr_assert(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Sends bytes as they are, with n_fds descriptors. */
static void send_raw(const void *bytes, size_t size, int n_fds)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	char copy[64];
	struct iovec iov = { .iov_base = copy, .iov_len = size };
	struct msghdr packet = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(copy, bytes, size);
	memset(&control, 0, sizeof(control));
	if (n_fds > 0) {
		int fds[8];

		for (int i = 0; i < n_fds; i++)
			fds[i] = ours;
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, (size_t)n_fds * sizeof(int));
	}
	cr_assert_eq(sendmsg(ours, &packet, 0), (ssize_t)size);
}

Test(channel, carries_a_message_with_its_descriptor)
{
	struct channel_msg got;
	int pipe_fds[2];
	int fd;
	char c = 'a';

	cr_assert_eq(pipe(pipe_fds), 0);
	cr_assert_eq(channel_send(ours, &lease, pipe_fds[1]), 0);
	cr_assert_eq(channel_send(ours, &lease, -1), 0);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), 1);
	cr_assert_eq(memcmp(&got, &lease, sizeof(got)), 0);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, &c, 1), 1);
	c = 'b';
	cr_assert(read(pipe_fds[0], &c, 1) == 1 && c == 'a', "another file than was sent");
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), 1);
	cr_assert_eq(fd, -1);
}

Test(channel, tells_nothing_yet_from_the_end)
{
	struct channel_msg got;
	int fd;

	cr_assert_eq(channel_receive(theirs, &got, &fd, MSG_DONTWAIT), -EAGAIN);
	close(ours);
	cr_assert_eq(channel_receive(theirs, &got, &fd, MSG_DONTWAIT), 0);
	cr_assert_eq(channel_send(theirs, &lease, -1), -EPIPE); /* and no SIGPIPE */
}

/*
 * The kernel reports the unread answer of a dead agent first; what the agent had sent is there
 * still.
 */
Test(channel, reads_all_that_was_sent_before_a_reset)
{
	struct channel_msg got;
	int fd;

	cr_assert_eq(channel_send(theirs, &lease, -1), 0);
	cr_assert_eq(channel_send(ours, &lease, ours), 0);
	cr_assert_eq(channel_send(ours, &lease, -1), 0);
	close(ours); /* with one unread */
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), 1);
	cr_assert(fd >= 0);
	close(fd);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), 1);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), 0);
}

Test(channel, refuses_what_is_not_a_message)
{
	const char longer[sizeof(lease) + 1] = { CHANNEL_VERSION };
	struct channel_msg got;
	int n = count_descriptors();
	int fd;

	send_raw(&lease, sizeof(lease) - 1, 1);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), -EBADMSG);
	cr_assert_eq(fd, -1);
	send_raw(longer, sizeof(longer), 1);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), -EBADMSG);
	send_raw(&lease, sizeof(lease), 2);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), -EBADMSG);
	send_raw(&lease, sizeof(lease), 8);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), -EBADMSG);
	cr_assert_eq(count_descriptors(), n, "descriptors leaked");
	cr_assert_eq(channel_send(ours, &lease, -1), 0);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), 1, "the next message is not touched");
}

/* The receiver must be able to say what it refuses. */
Test(channel, fills_in_a_message_of_another_version)
{
	struct channel_msg newer = lease;
	struct channel_msg got;
	int n = count_descriptors();
	int fd;

	newer.version = CHANNEL_VERSION + 1;
	cr_assert_eq(channel_send(ours, &newer, ours), 0);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), -EPROTO);
	cr_assert_eq(got.id, lease.id);
	cr_assert_eq(got.type, CHANNEL_HOLD);
	cr_assert_eq(fd, -1);
	cr_assert_eq(count_descriptors(), n, "descriptors leaked");
}

Test(channel, says_when_there_is_no_room_for_the_descriptor)
{
	struct rlimit limit;
	struct channel_msg got;
	rlim_t before;
	int fd;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	cr_assert_eq(channel_send(ours, &lease, ours), 0);
	limit.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(channel_receive(theirs, &got, &fd, 0), -EMFILE);
	limit.rlim_cur = before;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(got.id, lease.id);
	cr_assert_eq(fd, -1);
}
