/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes over the lease
 *
 * WELCOME, GRANT and REFUSED, one message a packet. Nothing is used before its size has been seen. Files come with
 * WELCOME alone; those of any other message are closed, and so are those of a second WELCOME, which an agent
 * sends that was killed between answering and noting it: what it grants, the first one has granted. Messages of
 * a type that is not known are left out, for agents to come; one that is no message at all ends the lease.
 *
 * Under the handle's lock.
 */
#include "messages.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "attach.h"
#include <onebeat/crashpoint.h>
#include "grant.h"

#define N_FILES 2u
#define N_FILES_ROOM 8u /* more are closed by the kernel */
#define BURST 512u      /* an agent that sends without end must not keep us */

union incoming {
	struct onebeat_msg msg;
	struct onebeat_welcome welcome;
	struct onebeat_granted granted;
	struct onebeat_refused refused;
	uint8_t bytes[256];
};

struct files {
	uint32_t n;
	int fds[N_FILES_ROOM];
};

union control {
	char room[CMSG_SPACE(sizeof(int) * N_FILES_ROOM)];
	struct cmsghdr align;
};

static void files_close(struct files *files)
{
	for (uint32_t i = 0; i < files->n; i++)
		close(files->fds[i]);
	files->n = 0;
}

static void files_take(struct files *files, struct msghdr *head)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
		const uint8_t *at = CMSG_DATA(c);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t left = c->cmsg_len - CMSG_LEN(0);
		     left >= sizeof(int) && files->n < N_FILES_ROOM;
		     left -= sizeof(int), at += sizeof(int))
			memcpy(&files->fds[files->n++], at, sizeof(int));
	}
}

/* Bytes of one message, 0 at the end of the lease, or a negative errno. */
static ssize_t receive(struct onebeat *ob, union incoming *m, struct files *files)
{
	union control control;
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	struct msghdr head = { .msg_iov = &iov,
			       .msg_iovlen = 1,
			       .msg_control = control.room,
			       .msg_controllen = sizeof(control.room) };
	ssize_t n = onebeat__lease_fd_receive(&ob->lease, &head);

	files->n = 0;
	if (n >= 0)
		files_take(files, &head);
	if (n > 0)
		ONEBEAT_CRASH_POINT("lib.message.received");
	if (n > 0 && head.msg_flags & MSG_TRUNC)
		return -EPROTO;
	return n;
}

static void on_welcome(struct onebeat *ob, const struct onebeat_welcome *m,
		       const struct files *files)
{
	struct onebeat_instance *inst;

	if (handle_link(ob) != LINK_GREETED)
		return;
	if (m->major != ONEBEAT_SEGMENT_MAJOR || files->n < N_FILES) {
		onebeat__detach_refused(ob, ONEBEAT_E_AGENT_VERSION);
		return;
	}
	if (!onebeat__attach_welcomed(ob, files->fds[0], files->fds[1]))
		return;
	/* NO_SLOT with a descriptor in HELLO: the instance is served as any other. */
	inst = onebeat__ask_find(ob, ob->hello_cookie);
	if (m->grants[0].slot != ONEBEAT_NO_SLOT)
		onebeat__grant_take(ob, &m->grants[0]);
	else if (inst)
		onebeat__ask_unanswered(inst);
	/* Publishing in the first may have shown that the lease is lost. */
	if (handle_link(ob) == LINK_ATTACHED)
		onebeat__grant_take(ob, &m->grants[1]);
}

/* In answer to HELLO it is followed by the end. */
static void on_refused(struct onebeat *ob, const struct onebeat_refused *m)
{
	char text[sizeof(m->text)];

	memcpy(text, m->text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	onebeat__grant_refused(ob, m->cookie, text);
	if (m->reason == ONEBEAT_REASON_VERSION)
		onebeat__detach_refused(ob, ONEBEAT_E_AGENT_VERSION);
	else if (m->reason == ONEBEAT_REASON_PROTOCOL || handle_link(ob) == LINK_GREETED)
		onebeat__detach_refused(ob, ONEBEAT_E_REFUSED);
}

/* False: it is no message of this protocol. */
static bool on_message(struct onebeat *ob, const union incoming *m, size_t n,
		       const struct files *files)
{
	if (n < sizeof(m->msg) || m->msg.magic != ONEBEAT_LEASE_MAGIC || m->msg.size != n)
		return false;
	switch (m->msg.type) {
	case ONEBEAT_MSG_WELCOME:
		if (n < sizeof(m->welcome))
			return false;
		on_welcome(ob, &m->welcome, files);
		return true;
	case ONEBEAT_MSG_GRANT:
		if (n < sizeof(m->granted))
			return false;
		if (handle_link(ob) == LINK_ATTACHED)
			onebeat__grant_take(ob, &m->granted.grant);
		return true;
	case ONEBEAT_MSG_REFUSED:
		if (n < sizeof(m->refused))
			return false;
		on_refused(ob, &m->refused);
		return true;
	default:
		return true;
	}
}

void onebeat__messages_take(struct onebeat *ob)
{
	union incoming m;
	struct files files;

	for (uint32_t i = 0; i < BURST && handle_link(ob) != LINK_DETACHED; i++) {
		ssize_t n = receive(ob, &m, &files);
		bool sound = n > 0 && on_message(ob, &m, (size_t)n, &files);

		files_close(&files);
		if (n == -EAGAIN)
			return;
		if (!sound && n > 0)
			onebeat__detach_refused(ob, ONEBEAT_E_AGENT_VERSION);
		else if (n <= 0)
			onebeat__detach(ob);
	}
}

void onebeat__messages_goodbye(struct onebeat *ob)
{
	const struct onebeat_msg m = { .magic = ONEBEAT_LEASE_MAGIC,
				       .type = ONEBEAT_MSG_GOODBYE,
				       .size = sizeof(m) };

	/* The end that follows says the same, only less politely. */
	(void)onebeat__lease_fd_send(&ob->lease, &m, sizeof(m));
	ONEBEAT_CRASH_POINT("lib.close.said_goodbye");
}
