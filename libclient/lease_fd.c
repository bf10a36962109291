/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease's descriptor, in a program that may close it
 *
 * The library is a guest. A daemon may close every descriptor it finds and open its own under the same numbers,
 * and a byte that we send or a close() that we do would then hit a stranger. So the socket's cookie, which the
 * kernel never gives twice, is compared before every system call on the number. When it is another one, the
 * number is forgotten: not even closed. The look and the act are two calls, so another thread that closes
 * everything right between them is not covered; nothing in user space could.
 *
 * The number is a high one, out of the way of programs that count on low ones, but not higher than LIFT_MAX:
 * the kernel's table grows with it.
 */
#include "lease_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIFT_MAX 1000
#define LIFT_MARGIN 64 /* numbers that stay free above ours */
#define LIFT_MIN 3     /* never in the place of stdin, stdout, stderr */

static int read_cookie(int fd, uint64_t *out)
{
	socklen_t n = sizeof(*out);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, out, &n) == 0 ? 0 : -errno;
}

static int lift_target(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < LIFT_MARGIN + LIFT_MIN)
		return LIFT_MIN;
	if (limit.rlim_cur > LIFT_MAX + LIFT_MARGIN)
		return LIFT_MAX;
	return (int)limit.rlim_cur - LIFT_MARGIN;
}

/* The number that it has afterwards; its own when there is no room above. */
static int lift(int fd, bool across_exec)
{
	const int how = across_exec ? F_DUPFD : F_DUPFD_CLOEXEC;
	int high = fcntl(fd, how, lift_target());

	if (high < 0)
		high = fcntl(fd, how, LIFT_MIN);
	if (high < 0) {
		if (across_exec)
			(void)fcntl(fd, F_SETFD, 0);
		return fd;
	}
	close(fd);
	return high;
}

int onebeat__lease_fd_take(struct lease_fd *lease, int socket, bool across_exec)
{
	int r = read_cookie(socket, &lease->cookie);

	if (r < 0) {
		close(socket);
		return r;
	}
	lease->fd = lift(socket, across_exec);
	return 0;
}

bool onebeat__lease_fd_is_ours(const struct lease_fd *lease)
{
	uint64_t cookie;

	return lease->fd >= 0 && read_cookie(lease->fd, &cookie) == 0 && cookie == lease->cookie;
}

int onebeat__lease_fd_send(const struct lease_fd *lease, const void *bytes, size_t n)
{
	if (!onebeat__lease_fd_is_ours(lease))
		return -ENOTCONN;
	return send(lease->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

ssize_t onebeat__lease_fd_receive(const struct lease_fd *lease, struct msghdr *head)
{
	ssize_t n;

	if (!onebeat__lease_fd_is_ours(lease))
		return -ENOTCONN;
	do {
		n = recvmsg(lease->fd, head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int onebeat__lease_fd_wait(const struct lease_fd *lease, int timeout_ms)
{
	struct pollfd p = { .fd = lease->fd, .events = POLLIN };
	int n;

	if (!onebeat__lease_fd_is_ours(lease))
		return -ENOTCONN;
	n = poll(&p, 1, timeout_ms);
	return n < 0 ? -errno : n;
}

void onebeat__lease_fd_drop(struct lease_fd *lease)
{
	if (onebeat__lease_fd_is_ours(lease))
		close(lease->fd);
	lease->fd = -1;
	lease->cookie = 0;
}
