/* SPDX-License-Identifier: Apache-2.0 */
/* The test's end of a stand-in agent: every wait has an end, and a wait that ends in vain fails. */
#include "lib/standin.h"

#include <criterion/criterion.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int standin_listen(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	cr_assert(sock >= 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	cr_assert_eq(bind(sock, (const struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(sock, 64), 0);
	return sock;
}

static void await(int sock, int wait_ms, const char *what)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	cr_assert_eq(poll(&p, 1, wait_ms), 1, "no %s within %d ms", what, wait_ms);
}

static pid_t peer_pid(int sock)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	cr_assert_eq(getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &n), 0);
	return peer.pid;
}

void standin_accept(struct standin *s, int listener, int wait_ms)
{
	memset(s, 0, sizeof(*s));
	await(listener, wait_ms, "agent");
	s->sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert(s->sock >= 0);
	s->pid = peer_pid(s->sock);
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	cr_assert(s->pidfd >= 0);
	for (;;) {
		struct channel_msg msg;
		int fd;

		await(s->sock, wait_ms, "report");
		cr_assert_eq(channel_receive(s->sock, &msg, &fd, 0), 1);
		if (msg.type == STANDIN_HEAD) {
			s->head = msg;
			return;
		}
		cr_assert_eq(msg.type, STANDIN_ENTRY);
		cr_assert(s->n_entries < STANDIN_ENTRIES_MAX && fd >= 0);
		if (msg.kind == CHANNEL_LINK) { /* a second one would keep it open */
			close(fd);
			fd = -1;
		}
		s->entries[s->n_entries] = msg;
		s->fds[s->n_entries++] = fd;
	}
}

void standin_close(struct standin *s)
{
	for (int i = 0; i < s->n_entries; i++) {
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	}
	s->n_entries = 0;
	close(s->pidfd);
	close(s->sock);
}

int standin_fd(const struct standin *s, enum channel_kind kind, uint64_t id)
{
	for (int i = 0; i < s->n_entries; i++) {
		if (s->entries[i].kind == kind && s->entries[i].id == id)
			return s->fds[i];
	}
	return -1;
}

void standin_say(const struct standin *s, enum channel_type type, enum channel_kind kind,
		 uint64_t id, int fd)
{
	const struct channel_msg msg = {
		.version = CHANNEL_VERSION, .type = (uint16_t)type, .kind = (uint16_t)kind, .id = id
	};

	cr_assert_eq(channel_send(s->sock, &msg, fd), 0);
}

void standin_order(const struct standin *s, enum standin_type type, int status)
{
	const struct channel_msg msg = { .version = CHANNEL_VERSION,
					 .type = (uint16_t)type,
					 .status = (uint16_t)status };

	cr_assert_eq(channel_send(s->sock, &msg, -1), 0);
}

struct channel_msg standin_hear(const struct standin *s, int wait_ms)
{
	struct channel_msg msg;
	int fd;

	await(s->sock, wait_ms, "message");
	cr_assert_eq(channel_receive(s->sock, &msg, &fd, 0), 1);
	cr_assert_eq(fd, -1);
	return msg;
}

void standin_await_end(const struct standin *s, int wait_ms)
{
	struct channel_msg msg;
	int fd;

	await(s->sock, wait_ms, "end of the agent");
	cr_assert_eq(channel_receive(s->sock, &msg, &fd, 0), 0, "it said %u", msg.type);
	await(s->pidfd, wait_ms, "death of the agent");
}
