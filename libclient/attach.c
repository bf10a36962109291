/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tying the handle to an agent, and losing it
 *
 * A handle is detached, greeted or attached. connect() succeeds as soon as somebody listens, which may be a
 * socket whose agent is only starting. So HELLO carries the first remembered instance: a program that registers
 * once and never calls again is registered when the agent comes to read it.
 *
 * What a lost lease had been granted is given up. The agent knows by pid and start time that it is the same
 * process that comes back, and lets what is published anew take the old one's place.
 *
 * Attempts are at least ATTACH_PAUSE_MS apart, so that a program that updates often does not pay for an agent
 * that is away. The first one after a tie was lost is made at once: it may be the last word of an instance, or of
 * the program, that is to be told.
 */
#include "attach.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ask.h"
#include "clock.h"
#include <onebeat/crashpoint.h>
#include "grant.h"

#define ATTACH_PAUSE_MS 100u
#define REFUSED_PAUSE_MS 1000u

static void set_link(struct onebeat *ob, enum handle_link link)
{
	atomic_store_explicit(&ob->link_since_ms, clock_boot_ms(), memory_order_relaxed);
	atomic_store_explicit(&ob->link, link, memory_order_release);
}

/* A socket of the lease's kind; a blocking one gives up connecting after wait_ms. */
static int make_socket(uint32_t wait_ms)
{
	const struct timeval limit = { .tv_sec = (time_t)(wait_ms / 1000),
				       .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000 };
	const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | (wait_ms ? 0 : SOCK_NONBLOCK);
	int fd = socket(AF_UNIX, type, 0);

	if (fd >= 0 && wait_ms &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int connect_agent(struct onebeat *ob, uint32_t wait_ms)
{
	struct sockaddr_un address;
	int fd = make_socket(wait_ms);
	int r;

	if (fd < 0)
		return ONEBEAT_E_SYSTEM;
	onebeat__runtime_dir_address(&ob->dir, &address);
	do {
		r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return ONEBEAT_E_NO_AGENT;
	}
	ONEBEAT_CRASH_POINT("lib.open.connected");
	r = onebeat__lease_fd_take(&ob->lease, fd, ob->flags & ONEBEAT_OPEN_ACROSS_EXEC);
	if (r < 0) {
		errno = -r;
		return ONEBEAT_E_SYSTEM;
	}
	ONEBEAT_CRASH_POINT("lib.open.taken");
	return 0;
}

static int send_hello(struct onebeat *ob)
{
	struct onebeat_hello hello = {
		.msg = { .magic = ONEBEAT_LEASE_MAGIC, .type = ONEBEAT_MSG_HELLO },
		.major = ONEBEAT_SEGMENT_MAJOR,
		.minor = ONEBEAT_SEGMENT_MINOR,
		.byte_order = ONEBEAT_SEGMENT_BYTE_ORDER,
		.flags = ob->flags & ONEBEAT_OPEN_ACROSS_EXEC ? ONEBEAT_HELLO_ACROSS_EXEC : 0,
	};
	struct onebeat_instance *first = onebeat__ask_first(ob);
	size_t size = sizeof(hello);

	if (first) {
		hello.cookie = onebeat__ask_begin(first);
		hello.length = first->descriptor.length;
		memcpy((uint8_t *)ob->message + size, first->descriptor.words, hello.length);
		size += hello.length;
	}
	ob->hello_cookie = hello.cookie;
	memcpy(hello.library, onebeat_version(), strnlen(onebeat_version(), sizeof(hello.library)));
	hello.msg.size = (uint16_t)size;
	memcpy(ob->message, &hello, sizeof(hello));
	return onebeat__lease_fd_send(&ob->lease, ob->message, size);
}

int onebeat__attach(struct onebeat *ob, uint32_t wait_ms)
{
	const uint64_t now_ms = clock_now_ms();
	int r;

	if (now_ms < ob->attach_due_ms)
		return ONEBEAT_E_NO_AGENT;
	ob->attach_due_ms = now_ms + ATTACH_PAUSE_MS;
	ob->fault = 0;
	r = connect_agent(ob, wait_ms);
	if (r < 0)
		return r;
	set_link(ob, LINK_GREETED);
	if (send_hello(ob) < 0) {
		onebeat__detach(ob);
		return ONEBEAT_E_NO_AGENT;
	}
	ONEBEAT_CRASH_POINT("lib.open.hello_sent");
	return 0;
}

bool onebeat__attach_welcomed(struct onebeat *ob, int data_fd, int status_fd)
{
	int r;

	ONEBEAT_CRASH_POINT("lib.open.welcomed");
	r = onebeat__segment_map_attach(&ob->map, data_fd, status_fd);
	if (r < 0) {
		onebeat__detach_refused(ob,
					r == -EPROTO ? ONEBEAT_E_AGENT_VERSION : ONEBEAT_E_SYSTEM);
		errno = -r;
		return false;
	}
	ONEBEAT_CRASH_POINT("lib.open.mapped");
	set_link(ob, LINK_ATTACHED);
	ONEBEAT_CRASH_POINT("lib.open.attached");
	return true;
}

void onebeat__detach(struct onebeat *ob)
{
	if (handle_link(ob) == LINK_DETACHED)
		return;
	if (handle_link(ob) == LINK_ATTACHED)
		ob->attach_due_ms = 0; /* an agent was there: the next attempt need not wait */
	onebeat__lease_fd_drop(&ob->lease);
	ONEBEAT_CRASH_POINT("lib.detach.closed");
	set_link(ob, LINK_DETACHED);
	onebeat__grant_forget_all(ob);
	ONEBEAT_CRASH_POINT("lib.detach.forgotten");
}

void onebeat__detach_refused(struct onebeat *ob, int fault)
{
	onebeat__detach(ob);
	ob->fault = fault;
	ob->attach_due_ms = clock_now_ms() + REFUSED_PAUSE_MS;
}
