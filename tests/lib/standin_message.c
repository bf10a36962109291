/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/standin_message.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/standin_slots.h"

static struct onebeat_msg head(enum onebeat_msg_type type, size_t size)
{
	return (struct onebeat_msg){ .magic = ONEBEAT_LEASE_MAGIC,
				     .type = (uint16_t)type,
				     .size = (uint16_t)size };
}

static void send_bytes(int lease, const void *bytes, size_t n)
{
	(void)send(lease, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void standin_message_grant(int lease, const struct onebeat_grant *grant)
{
	struct onebeat_granted m = { .msg = head(ONEBEAT_MSG_GRANT, sizeof(m)), .grant = *grant };

	send_bytes(lease, &m, sizeof(m));
}

void standin_message_refused(int lease, enum onebeat_reason reason, uint32_t cookie)
{
	struct onebeat_refused m = { .msg = head(ONEBEAT_MSG_REFUSED, sizeof(m)),
				     .cookie = cookie,
				     .reason = reason };

	snprintf(m.text, sizeof(m.text), "%s", STANDIN_REFUSAL);
	send_bytes(lease, &m, sizeof(m));
}

void standin_message_welcome(int lease, const struct onebeat_welcome *m, int data_fd, int status_fd)
{
	const int fds[2] = { data_fd, status_fd };
	union {
		char room[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct onebeat_welcome w = *m;
	struct iovec iov = { .iov_base = &w, .iov_len = sizeof(w) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	w.msg = head(ONEBEAT_MSG_WELCOME, sizeof(w));
	w.major = ONEBEAT_SEGMENT_MAJOR;
	w.minor = ONEBEAT_SEGMENT_MINOR;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	(void)sendmsg(lease, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool standin_message_is_sound(const union standin_message *m, size_t n)
{
	if (n < sizeof(m->msg) || m->msg.magic != ONEBEAT_LEASE_MAGIC || m->msg.size != n)
		return false;
	switch (m->msg.type) {
	case ONEBEAT_MSG_HELLO:
		return n >= sizeof(m->hello) && n == sizeof(m->hello) + m->hello.length &&
		       m->hello.length <= ONEBEAT_LARGE_PAYLOAD &&
		       m->hello.major == ONEBEAT_SEGMENT_MAJOR &&
		       m->hello.byte_order == ONEBEAT_SEGMENT_BYTE_ORDER && m->hello.feat == 0 &&
		       (m->hello.flags & ~(uint32_t)ONEBEAT_HELLO_FLAGS) == 0;
	case ONEBEAT_MSG_ASK:
		return n >= sizeof(m->ask) && n == sizeof(m->ask) + m->ask.length &&
		       m->ask.class < ONEBEAT_N_CLASSES && m->ask.cookie != 0 &&
		       m->ask.length <= (m->ask.class == ONEBEAT_CLASS_SMALL
						 ? ONEBEAT_SMALL_PAYLOAD
						 : ONEBEAT_LARGE_PAYLOAD);
	case ONEBEAT_MSG_GOODBYE:
		return n == sizeof(m->msg);
	default:
		return false;
	}
}
