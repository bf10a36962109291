/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_LEASE_FD_H
#define ONEBEAT_LEASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct lease_fd {
	int fd; /* -1: none */
	uint64_t cookie;
};

#define LEASE_FD_NULL \
	{             \
		-1, 0 \
	}

/* Takes over a socket, moves it to a high number and remembers it. 0 or negative errno (socket closed). */
int onebeat__lease_fd_take(struct lease_fd *lease, int socket, bool across_exec);
/* Is the number still our socket? */
bool onebeat__lease_fd_is_ours(const struct lease_fd *lease);
/* All of these look first. -ENOTCONN: the number is not ours any more, and was not touched. */
int onebeat__lease_fd_send(const struct lease_fd *lease, const void *bytes, size_t n);
ssize_t onebeat__lease_fd_receive(const struct lease_fd *lease, struct msghdr *head);
/* Sleeps until there is something to read, or the time is over; -errno, 0, or 1. */
int onebeat__lease_fd_wait(const struct lease_fd *lease, int timeout_ms);
/* Closes it if it is ours; idempotent. */
void onebeat__lease_fd_drop(struct lease_fd *lease);

#endif
