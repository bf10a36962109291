/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Word to the service manager
 *
 * systemd names a datagram socket in NOTIFY_SOCKET; a state is one datagram, descriptors go with it. That is
 * all of the protocol, it is published and stable, and what libsystemd would add to it (a library with
 * dependencies of its own in the one process that must not die, and no bound on a wait) we do not want: so it
 * is spoken here. A name that starts with @ is an abstract one.
 *
 * Sending waits for room, because a manager that is busy must not cost a lease, but never for long.
 */
#include "keeper/notify.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define SEND_WAIT_S 2

/* 0: nobody is to be told; 1: *to is where; or -EINVAL. */
static int find_manager(struct sockaddr_un *to, socklen_t *size)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n == 0)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof(to->sun_path))
		return -EINVAL;
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(to->sun_path, path, n);
	if (path[0] == '@')
		to->sun_path[0] = '\0';
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 1;
}

static int open_socket(void)
{
	const struct timeval wait = { .tv_sec = SEND_WAIT_S };
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -errno;
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return sock;
}

int notify_manager_fds(const char *state, const int *fds, size_t n_fds)
{
	CLEANUP(close_fdp) int sock = -1;
	struct sockaddr_un to;
	struct msghdr packet = { .msg_name = &to };
	struct iovec iov;
	union {
		struct cmsghdr head; /* for its alignment */
		char bytes[CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
	} control;
	int r = find_manager(&to, &packet.msg_namelen);

	assert(n_fds <= NOTIFY_FDS_MAX);
	if (r <= 0)
		return r;
	sock = open_socket();
	if (sock < 0)
		return sock;
	/* sendmsg() wants it without const and leaves it alone */
	memcpy(&iov.iov_base, &state, sizeof(state));
	iov.iov_len = strlen(state);
	packet.msg_iov = &iov;
	packet.msg_iovlen = 1;
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
	}
	return sendmsg(sock, &packet, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int notify_manager(const char *state)
{
	return notify_manager_fds(state, NULL, 0);
}

int notify_barrier(uint32_t wait_ms)
{
	CLEANUP(close_fdp) int ours = -1;
	struct sockaddr_un to;
	socklen_t size;
	struct pollfd p;
	int fds[2];
	int r = find_manager(&to, &size);

	if (r <= 0)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	ours = fds[0];
	r = notify_manager_fds("BARRIER=1", &fds[1], 1);
	close(fds[1]);
	if (r < 0)
		return r;
	p = (struct pollfd){ .fd = ours };
	r = poll(&p, 1, (int)wait_ms);
	return r > 0 ? 0 : r < 0 ? -errno : -ETIMEDOUT;
}
