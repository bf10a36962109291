/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks through the sockets: too many, too often, half, wrong, deaf
 *
 * Each closing line tells what became of it: connections made, refused by a message, ended by the agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/attacker.h"
#include <onebeat/control.h>

#define LINGER_S 5 /* longer than a bystander may wait */

static int *connections(uint32_t n)
{
	int *fds = calloc(n, sizeof(*fds));

	if (!fds)
		attacker_fail("out of memory");
	return fds;
}

static void hold_out(const struct attacker *a)
{
	while (!attacker_done(a))
		poll(NULL, 0, 20);
}

/* What the agent has said to a connection. */
static void tally(int *fds, uint32_t n)
{
	uint32_t n_refused = 0, n_ended = 0, n_welcome = 0;
	union {
		struct onebeat_msg msg;
		struct onebeat_refused refused;
		char bytes[256];
	} m;
	char text[128] = "";

	for (uint32_t i = 0; i < n; i++) {
		int r = fds[i] < 0 ? 0 : attacker_receive(fds[i], &m, sizeof(m), 0, NULL);

		if (r > 0 && m.msg.type == ONEBEAT_MSG_REFUSED) {
			n_refused++;
			snprintf(text, sizeof(text), "%s", m.refused.text);
		} else if (r > 0) {
			n_welcome++;
		} else if (r != -ETIMEDOUT) {
			n_ended++;
		}
	}
	printf("connections=%u welcome=%u refused=%u ended=%u text=\"%s\"\n", n, n_welcome,
	       n_refused, n_ended, text);
	fflush(stdout);
}

static void many(struct attacker *a, bool greet)
{
	int *fds = connections(a->count);

	for (uint32_t i = 0; i < a->count; i++) {
		fds[i] = attacker_connect(a, ONEBEAT_CLIENT_SOCKET, SOCK_SEQPACKET);
		if (fds[i] < 0)
			attacker_fail("connection %u: %s", i, strerror(-fds[i]));
		if (greet)
			(void)attacker_hello(fds[i]);
		a->n_done++;
	}
	hold_out(a);
	tally(fds, a->count);
	free(fds);
}

static void half_open(struct attacker *a)
{
	many(a, false);
}

static void leases(struct attacker *a)
{
	many(a, true);
}

static void bells(struct attacker *a)
{
	int *fds = connections(a->count);

	for (uint32_t i = 0; i < a->count; i++) {
		fds[i] = attacker_connect(a, ONEBEAT_CLIENT_SOCKET, SOCK_SEQPACKET);
		if (fds[i] < 0 || !attacker_hello(fds[i]))
			attacker_fail("connection %u: %s", i, strerror(errno));
	}
	while (!attacker_done(a)) {
		for (uint32_t i = 0; i < a->count; i++)
			a->n_done += send(fds[i], "", ONEBEAT_BELL_SIZE,
					  MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
	}
	free(fds);
}

static void churn(struct attacker *a)
{
	while (!attacker_done(a)) {
		int fd = attacker_connect(a, ONEBEAT_CLIENT_SOCKET, SOCK_SEQPACKET);

		if (fd < 0)
			continue;
		if (attacker_below(a, 2))
			(void)attacker_hello(fd);
		close(fd);
		a->n_done++;
	}
}

/* Messages of random bytes, cut short, too long, of unknown types, with lengths that lie. */
static void garbage(struct attacker *a)
{
	uint32_t words[2048];

	while (!attacker_done(a)) {
		int fd = attacker_connect(a, ONEBEAT_CLIENT_SOCKET, SOCK_SEQPACKET);
		struct onebeat_msg *msg = (struct onebeat_msg *)words;
		size_t n = 1 + attacker_below(a, sizeof(words));

		if (fd < 0)
			continue;
		if (attacker_below(a, 2))
			(void)attacker_hello(fd);
		for (size_t i = 0; i < sizeof(words) / 4; i++)
			words[i] = (uint32_t)attacker_random(a);
		msg->magic = attacker_below(a, 8) ? ONEBEAT_LEASE_MAGIC : 0;
		msg->type = (uint16_t)attacker_below(a, 20);
		msg->size = (uint16_t)(attacker_below(a, 8) ? n : n + 1);
		(void)send(fd, words, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
		a->n_done++;
	}
}

static bool send_with(int fd, void *msg, size_t n, const int *fds, size_t n_fds)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = msg, .iov_len = n };
	struct msghdr head = { .msg_iov = &iov,
			       .msg_iovlen = 1,
			       .msg_control = control.room,
			       .msg_controllen = CMSG_SPACE(sizeof(int) * n_fds) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&head);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	return sendmsg(fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

/* A TCP socket with unsent bytes whose last close() waits for the peer, who never reads. */
static int lingering(void)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = LINGER_S };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(at);
	char bytes[65536] = "";
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(listener, (struct sockaddr *)&at, n) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &n) < 0)
		attacker_fail("lingering: %s", strerror(errno));
	(void)connect(fd, (struct sockaddr *)&at, n);
	poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 1000);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		continue;
	fcntl(fd, F_SETFL, 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

/*
 * Descriptors passed along with what needs none: the agent must not keep them, nor wait for their last close.
 * n_done counts messages that the kernel took.
 */
static void rights(struct attacker *a)
{
	struct onebeat_hello hello = {
		.msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_HELLO, sizeof(hello) },
		.major = ONEBEAT_SEGMENT_MAJOR,
		.byte_order = ONEBEAT_SEGMENT_BYTE_ORDER,
		.cookie = 1,
	};
	char bell = 0;

	while (!attacker_done(a)) {
		int fd = attacker_connect(a, ONEBEAT_CLIENT_SOCKET, SOCK_SEQPACKET);
		int fds[2] = { lingering(), open("/dev/zero", O_RDWR | O_CLOEXEC) };

		if (fd < 0)
			attacker_fail("rights: %s", strerror(-fd));
		a->n_done += send_with(fd, &hello, sizeof(hello), fds, 2);
		a->n_done += send_with(fd, &bell, 1, fds, 2);
		close(fds[0]);
		close(fds[1]);
		poll(NULL, 0, 100);
		close(fd);
	}
}

/* Asks and asks, and never reads an answer. */
static void deaf(struct attacker *a)
{
	const struct onebeat_ask ask = { .msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_ASK,
						  sizeof(ask) } };
	int fd = attacker_connect(a, ONEBEAT_CLIENT_SOCKET, SOCK_SEQPACKET);

	if (fd < 0 || !attacker_hello(fd))
		attacker_fail("deaf: %s", strerror(errno));
	while (!attacker_done(a)) {
		ssize_t n = send(fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL);

		a->n_done += n > 0;
		if (n < 0 && errno == EPIPE)
			break;
	}
	close(fd);
}

/* control.sock: many connections that ask for the list and do not read it, half requests, and silence. */
static void control(struct attacker *a)
{
	const struct onebeat_control_request request = { .magic = ONEBEAT_CONTROL_MAGIC,
							 .version = ONEBEAT_CONTROL_VERSION,
							 .verb = ONEBEAT_CONTROL_LIST };
	int *fds = connections(a->count);

	for (uint32_t i = 0; i < a->count; i++) {
		fds[i] = attacker_connect(a, ONEBEAT_CONTROL_SOCKET, SOCK_STREAM);
		if (fds[i] < 0)
			attacker_fail("connection %u: %s", i, strerror(-fds[i]));
		if (i % 3 > 0)
			(void)send(fds[i], &request, i % 3 == 1 ? sizeof(request) : 3,
				   MSG_NOSIGNAL);
		a->n_done++;
	}
	hold_out(a);
	free(fds);
}

const struct attack attacks_on_socket[] = {
	{ "half-open", half_open, "connections that never say HELLO" },
	{ "leases", leases, "as many leases as it can get" },
	{ "bells", bells, "doorbells without end on many leases" },
	{ "churn", churn, "connects and closes" },
	{ "garbage", garbage, "messages that are none" },
	{ "rights", rights, "descriptors that nobody asked for" },
	{ "deaf", deaf, "asks without end and never reads" },
	{ "control", control, "many tools that do not read, ask half, or say nothing" },
	{ NULL, NULL, NULL },
};
