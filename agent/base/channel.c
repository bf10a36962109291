/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel between keeper and agent
 *
 * One struct a packet, at most one descriptor with it. SOCK_SEQPACKET keeps the messages whole, so
 * there is no framing and a receiver never waits for the rest of one. Neither side trusts the build
 * of the other (an upgrade changes them one after the other): size and version are looked at before
 * anything else.
 *
 * Two answers of the kernel would lose messages if they were taken at their word. A side that dies
 * with unread messages in its own queue gives the other one ECONNRESET, once, ahead of what it had
 * still sent: that is read over, or the keeper would lose the lease that the agent handed over
 * last. And where a descriptor finds no room in the receiver's table the message comes without it,
 * with MSG_CTRUNC: that is an outcome of its own, so that the keeper can say so.
 */
#include "base/channel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

union control {
	struct cmsghdr head; /* for its alignment */
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void attach(struct msghdr *packet, union control *control, int fd)
{
	struct cmsghdr *head;

	memset(control, 0, sizeof(*control));
	packet->msg_control = control->bytes;
	packet->msg_controllen = sizeof(control->bytes);
	head = CMSG_FIRSTHDR(packet);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
}

int channel_send(int sock, const struct channel_msg *msg, int fd)
{
	struct channel_msg out = *msg;
	struct iovec iov = { .iov_base = &out, .iov_len = sizeof(out) };
	struct msghdr packet = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	ssize_t n;

	if (fd >= 0)
		attach(&packet, &control, fd);
	do {
		n = sendmsg(sock, &packet, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	assert((size_t)n == sizeof(out)); /* packets are sent whole or not at all */
	return 0;
}

/*
 * The first descriptor of the packet, -1 if none. The padding of one leaves room for two: others
 * are closed.
 */
static int detach(struct msghdr *packet, int *n_fds)
{
	int first = -1;

	*n_fds = 0;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(packet); head; head = CMSG_NXTHDR(packet, head)) {
		size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
			if ((*n_fds)++ == 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

int channel_receive(int sock, struct channel_msg *msg, int *fd, int flags)
{
	CLEANUP(close_fdp) int got = -1;
	union control control;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	struct msghdr packet = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	int n_fds;
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(sock, &packet, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	got = detach(&packet, &n_fds);
	if (n == 0 && n_fds == 0)
		return 0;
	if ((size_t)n != sizeof(*msg) || (packet.msg_flags & MSG_TRUNC) || n_fds > 1)
		return -EBADMSG;
	if (packet.msg_flags & MSG_CTRUNC)
		return n_fds == 0 ? -EMFILE : -EBADMSG;
	if (msg->version != CHANNEL_VERSION)
		return -EPROTO;
	*fd = take_fd(&got);
	return 1;
}
