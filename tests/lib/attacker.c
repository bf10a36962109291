/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attacker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define ANSWER_MS 10000

uint64_t attacker_random(struct attacker *a)
{
	a->seed ^= a->seed >> 12;
	a->seed ^= a->seed << 25;
	a->seed ^= a->seed >> 27;
	return a->seed * UINT64_C(0x2545f4914f6cdd1d);
}

uint32_t attacker_below(struct attacker *a, uint32_t n)
{
	return (uint32_t)(attacker_random(a) >> 33) % n;
}

bool attacker_done(const struct attacker *a)
{
	return clock_now_ms() >= a->end_ms;
}

void attacker_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stdout, format, args);
	va_end(args);
	fputs("\n", stdout);
	fflush(stdout);
	exit(1);
}

int attacker_connect(const struct attacker *a, const char *name, int type)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", a->dir, name);
	do
		r = connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

bool attacker_hello(int fd)
{
	const struct onebeat_hello hello = {
		.msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_HELLO, sizeof(hello) },
		.major = ONEBEAT_SEGMENT_MAJOR,
		.byte_order = ONEBEAT_SEGMENT_BYTE_ORDER,
		.cookie = 1,
	};

	return send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) == (ssize_t)sizeof(hello);
}

int attacker_receive(int fd, void *msg, size_t size, int timeout_ms, int fds[2])
{
	union {
		char room[CMSG_SPACE(sizeof(int) * 2)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = msg, .iov_len = size };
	struct msghdr head = { .msg_iov = &iov,
			       .msg_iovlen = 1,
			       .msg_control = fds ? control.room : NULL,
			       .msg_controllen = fds ? sizeof(control.room) : 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct cmsghdr *c;
	ssize_t n;

	if (poll(&p, 1, timeout_ms) <= 0)
		return -ETIMEDOUT;
	n = recvmsg(fd, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	c = fds ? CMSG_FIRSTHDR(&head) : NULL;
	if (c && c->cmsg_len == CMSG_LEN(sizeof(int) * 2))
		memcpy(fds, CMSG_DATA(c), sizeof(int) * 2);
	return (int)n;
}

static void map_files(struct attacker *a)
{
	struct onebeat_status_header h;

	if (pread(a->status_fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		attacker_fail("cannot read the header: %s", strerror(errno));
	a->memory = (struct memory)MEMORY_NULL;
	a->memory.n_small = h.n_small;
	a->memory.n_large = h.n_large;
	a->memory.small_offset = h.small_offset;
	a->memory.large_offset = h.large_offset;
	a->memory.data_size = h.data_size;
	a->memory.status_size = h.status_size;
	a->memory.data = mmap(NULL, h.data_size, PROT_READ | PROT_WRITE, MAP_SHARED, a->data_fd, 0);
	a->memory.status = mmap(NULL, h.status_size, PROT_READ, MAP_SHARED, a->status_fd, 0);
	if (a->memory.data == MAP_FAILED || a->memory.status == MAP_FAILED)
		attacker_fail("cannot map the segment: %s", strerror(errno));
}

void attacker_attach(struct attacker *a)
{
	struct onebeat_welcome m = { .major = 0 };
	int fds[2] = { -1, -1 };
	int n;

	a->fd = attacker_connect(a, ONEBEAT_CLIENT_SOCKET, SOCK_SEQPACKET);
	if (a->fd < 0 || !attacker_hello(a->fd))
		attacker_fail("cannot greet the agent: %s", strerror(errno));
	n = attacker_receive(a->fd, &m, sizeof(m), ANSWER_MS, fds);
	if (n != (int)sizeof(m) || m.msg.type != ONEBEAT_MSG_WELCOME || fds[0] < 0)
		attacker_fail("no WELCOME but %d bytes of type %u", n, m.msg.type);
	a->data_fd = fds[0];
	a->status_fd = fds[1];
	map_files(a);
	a->n_slots = 0;
	a->slots[a->n_slots++] = m.grants[1];
}

uint32_t attacker_ask(struct attacker *a, uint32_t n)
{
	union {
		struct onebeat_msg msg;
		struct onebeat_granted granted;
		char bytes[256];
	} m;
	const size_t n_head = sizeof(struct onebeat_ask) / 4;
	union {
		struct onebeat_ask ask;
		uint32_t words[sizeof(struct onebeat_ask) / 4 + ONEBEAT_SMALL_PAYLOAD / 4];
	} ask = { .ask = { .msg = { .magic = ONEBEAT_LEASE_MAGIC, .type = ONEBEAT_MSG_ASK } } };

	n = n < ATTACKER_SLOTS_MAX ? n : ATTACKER_SLOTS_MAX;
	while (a->n_slots < n) {
		uint32_t port = 1 + a->n_slots;

		ask.ask.cookie = port;
		ask.ask.length = attacker_descriptor(ask.words + n_head, "hostile", port, 1);
		ask.ask.msg.size = (uint16_t)(sizeof(ask.ask) + ask.ask.length);
		if (send(a->fd, &ask, ask.ask.msg.size, MSG_NOSIGNAL) < 0)
			break;
		do {
			if (attacker_receive(a->fd, &m, sizeof(m), ANSWER_MS, NULL) <
			    (int)sizeof(m.granted))
				return a->n_slots;
		} while (m.msg.type == ONEBEAT_MSG_GRANT && m.granted.grant.cookie != port);
		if (m.msg.type != ONEBEAT_MSG_GRANT)
			break;
		a->slots[a->n_slots++] = m.granted.grant;
	}
	return a->n_slots;
}

static uint32_t add_field(uint8_t *out, uint32_t at, uint16_t type, const void *value, uint16_t n)
{
	memcpy(out + at, &type, 2);
	memcpy(out + at + 2, &n, 2);
	memset(out + at + 4, 0, ONEBEAT_PAD4(n));
	memcpy(out + at + 4, value, n);
	return at + ONEBEAT_FIELD_SPACE(n);
}

uint32_t attacker_descriptor(uint32_t *words, const char *service, uint32_t port, double weight)
{
	struct onebeat_numbers numbers = { .port = port,
					   .flags = ONEBEAT_DESC_ENABLED | ONEBEAT_DESC_EPHEMERAL,
					   .beat_ms = 5000 };
	uint8_t *out = (uint8_t *)words;
	uint64_t bits;
	uint32_t n;

	memcpy(&bits, &weight, sizeof(bits));
	numbers.weight_lo = (uint32_t)bits;
	numbers.weight_hi = (uint32_t)(bits >> 32);
	n = add_field(out, 0, ONEBEAT_FIELD_NUMBERS, &numbers, sizeof(numbers));
	n = add_field(out, n, ONEBEAT_FIELD_SERVICE, service, (uint16_t)strlen(service));
	return add_field(out, n, ONEBEAT_FIELD_IP, "10.9.8.7", 8);
}
