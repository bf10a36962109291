/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of leases
 *
 * HELLO and ASK are looked at with MSG_PEEK and taken out of the socket only after they were answered. An
 * agent that dies in between leaves them there, and its successor, which inherits the socket, answers them: so
 * each must be answered alike when it comes a second time. What was granted for it the first time is in the
 * journal under the question's cookie, and is found again by answered(). By its descriptor it would not be found
 * when the client, which has had the answer, has changed or withdrawn it meanwhile.
 *
 * Before HELLO is answered, the keeper must hold a duplicate of the lease, or the agent's death would look to
 * the client like its own lease's end. While the keeper's word is awaited, the socket is not read.
 *
 * Nothing is believed of a message but its bytes: sizes are checked against what came, identity is the
 * kernel's, descriptors that a client passes along are dropped by the kernel because no room is offered for
 * them. A client that does not read is normal: what does not fit its buffer is left out and asked for again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

#define GROUPS_MAX 1024u
#define READ_BURST 16 /* of one lease in a turn */

union message {
	struct onebeat_msg msg;
	struct onebeat_hello hello;
	struct onebeat_ask ask;
	uint32_t words[(ONEBEAT_LEASE_MSG_MAX + 3) / 4];
};

static bool send_with_fds(int fd, void *msg, size_t size, const int fds[2])
{
	union {
		char room[CMSG_SPACE(sizeof(int) * 2)];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = msg, .iov_len = size };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fds) {
		struct cmsghdr *c;

		head.msg_control = control.room;
		head.msg_controllen = sizeof(control.room);
		c = CMSG_FIRSTHDR(&head);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * 2);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * 2);
	}
	return sendmsg(fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

void handshake_refuse(int fd, enum onebeat_reason reason, uint32_t cookie, const char *text)
{
	struct onebeat_refused m = {
		.msg = { .magic = ONEBEAT_LEASE_MAGIC,
			 .type = ONEBEAT_MSG_REFUSED,
			 .size = sizeof(m) },
		.cookie = cookie,
		.reason = reason,
	};

	snprintf(m.text, sizeof(m.text), "%s", text);
	(void)send_with_fds(fd, &m, sizeof(m), NULL);
	ONEBEAT_CRASH_POINT("agent.refuse.sent");
}

static void send_refused(struct lease *lease, enum onebeat_reason reason, uint32_t cookie,
			 const char *text)
{
	char label[64];

	log_warning("lease.refuse", "%s reason=%s", lease_label(lease, label), LOG_Q(text));
	handshake_refuse(lease->fd, reason, cookie, text);
}

/* By a quota: shown to tools besides. */
static void refuse_more(struct lease *lease, enum quota_kind kind, enum onebeat_reason reason,
			uint32_t cookie, const char *text)
{
	lease_refused(lease->watcher, lease->account, &lease->identity, kind, text);
	handshake_refuse(lease->fd, reason, cookie, text);
}

static uint32_t pub_of(const struct slot *s)
{
	return atomic_load_explicit(memory_pub(&s->domain->memory, s->index), memory_order_acquire);
}

static struct onebeat_grant grant_of(const struct slot *slot, uint32_t cookie)
{
	struct onebeat_grant g = { .slot = ONEBEAT_NO_SLOT, .cookie = cookie };

	if (!slot)
		return g;
	g.slot = slot->index;
	g.generation = slot->generation;
	g.class = memory_class(&slot->domain->memory, slot->index);
	g.version = pub_of(slot);
	return g;
}

void handshake_send_grant(struct lease *lease, const struct slot *slot, uint32_t cookie)
{
	struct onebeat_granted m = {
		.msg = { .magic = ONEBEAT_LEASE_MAGIC,
			 .type = ONEBEAT_MSG_GRANT,
			 .size = sizeof(m) },
		.grant = grant_of(slot, cookie),
	};

	(void)send_with_fds(lease->fd, &m, sizeof(m), NULL);
	ONEBEAT_CRASH_POINT("agent.grant.sent");
}

/* Has it said this very descriptor, and nothing since? For a question without a cookie. */
static bool says(const struct slot *s, const uint32_t *payload, uint32_t length)
{
	struct drain_copy copy;

	return s->state == SLOT_LIVE && s->version == 1 &&
	       drain_read(&s->domain->memory, s->index, s->generation, 0, &copy) == DRAIN_READY &&
	       copy.version == 1 && copy.length == length &&
	       memcmp(copy.payload, payload, length) == 0;
}

/*
 * The slot that answers this question already, from before a restart. Its client may have had that answer, and
 * have changed or withdrawn what it asked with: then nothing of the question counts any more.
 */
static struct slot *answered(struct lease *lease, uint32_t cookie, const uint32_t *payload,
			     uint32_t length)
{
	for (struct slot *s = lease->slots; s; s = s->lease_next) {
		if (cookie ? s->cookie == cookie : says(s, payload, length))
			return s;
	}
	return NULL;
}

/* Publishes a descriptor that came in a message, and judges it as any other. NULL with errno. */
static struct slot *publish(struct lease *lease, enum onebeat_class class, uint32_t cookie,
			    const uint32_t *payload, uint32_t length)
{
	struct slot *slot = answered(lease, cookie, payload, length);

	/* Unless we died before we published there. */
	if (slot && (slot->state != SLOT_GRANTED || pub_of(slot) != 0))
		return slot;
	/* Never one that the client knows: it may be writing there. */
	if (!slot || length > memory_payload_max(&slot->domain->memory, slot->index))
		slot = grant_slot(lease, class, cookie);
	if (!slot)
		return NULL;
	memory_publish(&slot->domain->memory, slot->index, slot->generation, payload, length);
	ONEBEAT_CRASH_POINT("agent.publish.done");
	hold_look(lease->watcher, slot);
	ONEBEAT_CRASH_POINT("agent.publish.judged");
	return slot;
}

static enum onebeat_class class_for(uint32_t length)
{
	return length <= ONEBEAT_SMALL_PAYLOAD ? ONEBEAT_CLASS_SMALL : ONEBEAT_CLASS_LARGE;
}

static void refuse_grant(struct lease *lease, uint32_t cookie)
{
	char text[QUOTA_TEXT_MAX];

	if (errno == ENOSPC)
		snprintf(
			text, sizeof(text),
			"the agent grants no slot to uid %u: all that it may have are in use (slots = %u)",
			lease->identity.uid, lease->watcher->options.n_slots);
	else
		snprintf(text, sizeof(text), "the agent grants no slot to uid %u: %s",
			 lease->identity.uid,
			 errno == EIO ? "its segment has lost memory" : strerror(errno));
	refuse_more(lease, QUOTA_SLOTS, ONEBEAT_REASON_FULL, cookie, text);
}

static bool welcome(struct lease *lease, const struct onebeat_hello *hello)
{
	struct memory *memory = &lease->domain->memory;
	const int fds[2] = { memory->data_fd, memory->status_ro_fd };
	struct onebeat_welcome m = {
		.msg = { .magic = ONEBEAT_LEASE_MAGIC,
			 .type = ONEBEAT_MSG_WELCOME,
			 .size = sizeof(m) },
		.major = ONEBEAT_SEGMENT_MAJOR,
		.minor = ONEBEAT_SEGMENT_MINOR,
		.epoch = memory->epoch,
	};
	struct slot *first = NULL, *ahead;

	memory_restore_header(memory);
	grant_inherit(lease);
	if (hello->length > 0) {
		first = publish(lease, class_for(hello->length), hello->cookie, hello->descriptor,
				hello->length);
		if (!first) {
			refuse_grant(lease, hello->cookie);
			return false;
		}
	}
	ahead = grant_waiting(lease, ONEBEAT_CLASS_SMALL);
	if (!ahead)
		ahead = grant_slot(lease, ONEBEAT_CLASS_SMALL, 0);
	if (!ahead && !first) {
		refuse_grant(lease, hello->cookie);
		return false;
	}
	ONEBEAT_CRASH_POINT("agent.welcome.granted");
	m.grants[0] = grant_of(first, hello->cookie);
	m.grants[1] = grant_of(ahead, 0);
	if (!send_with_fds(lease->fd, &m, sizeof(m), fds)) {
		log_warning("lease.unwelcomed",
			    "pid=%d error=%s next=\"closed; the client comes again\"",
			    (int)lease->identity.pid, LOG_Q(strerror(errno)));
		return false;
	}
	ONEBEAT_CRASH_POINT("agent.welcome.sent");
	lease->welcomed = true;
	lease_journal(lease);
	ONEBEAT_CRASH_POINT("agent.welcome.journalled");
	return true;
}

void handshake_find_rules(struct lease *lease)
{
	gid_t groups[GROUPS_MAX];
	uint32_t n = lease->fd >= 0 ? identity_groups(lease->fd, groups, GROUPS_MAX) : 0;

	lease->rules = allow_rules_of(lease->watcher->options.allow, lease->identity.uid,
				      lease->identity.gid, groups, n);
}

/* False, and refused: no rule of the allow-list is for it. */
static bool is_allowed(struct lease *lease, uint32_t cookie)
{
	char text[QUOTA_TEXT_MAX];

	handshake_find_rules(lease);
	if (lease->rules != 0 || lease->watcher->options.allow->n_rules == 0)
		return true;
	snprintf(text, sizeof(text), "uid %u may register nothing: no [allow] section is for it",
		 lease->identity.uid);
	refuse_more(lease, QUOTA_DENIED, ONEBEAT_REASON_DENIED, cookie, text);
	return false;
}

/* Without a keeper we end: then the client sees the end of its lease alone, and comes to those who follow. */
static void refuse_busy(struct lease *lease, uint32_t cookie, int error)
{
	if (error != EPIPE && error != ECONNRESET)
		send_refused(lease, ONEBEAT_REASON_BUSY, cookie, strerror(error));
}

/* Asks the keeper to hold the lease; its HELLO stays in the socket meanwhile. */
static bool hold(struct lease *lease, const struct onebeat_hello *hello)
{
	struct watcher *w = lease->watcher;
	struct channel_msg msg = { .version = CHANNEL_VERSION,
				   .type = CHANNEL_HOLD,
				   .kind = CHANNEL_LEASE,
				   .id = lease->identity.cookie };
	struct domain *domain = grant_domain(w, lease->identity.uid);
	char text[QUOTA_TEXT_MAX];
	int r;

	if (!domain && errno == EUSERS) {
		snprintf(text, sizeof(text), "uid %u: %u other users are served, as many as can be",
			 lease->identity.uid, JOURNAL_DOMAINS_MAX);
		refuse_more(lease, QUOTA_LEASES, ONEBEAT_REASON_QUOTA, hello->cookie, text);
		return false;
	}
	if (!domain) {
		refuse_busy(lease, hello->cookie, errno);
		return false;
	}
	if (!quota_greet(&w->quotas, lease->account, text)) {
		refuse_more(lease, QUOTA_LEASES, ONEBEAT_REASON_QUOTA, hello->cookie, text);
		return false;
	}
	lease->domain = domain;
	domain->n_leases++;
	lease->flags = hello->flags;
	ONEBEAT_CRASH_POINT("agent.hold.domain");
	watcher_read_link(w);
	lease->state = LEASE_HOLDING;
	lease_journal(lease);
	ONEBEAT_CRASH_POINT("agent.hold.journalled");
	r = channel_send(w->link, &msg, lease->fd);
	ONEBEAT_CRASH_POINT("agent.hold.sent");
	if (r == 0)
		r = loop_modify(&w->loop, lease->watch, lease->fd, 0);
	if (r < 0)
		refuse_busy(lease, hello->cookie, -r);
	return r == 0;
}

void handshake_held(struct watcher *w, uint64_t cookie, int status)
{
	for (uint32_t i = 0; i < w->leases.n_items; i++) {
		struct lease *lease = w->leases.items[i];

		if (!lease || lease->identity.cookie != cookie || lease->state != LEASE_HOLDING)
			continue;
		ONEBEAT_CRASH_POINT("agent.held.received");
		if (status != 0) {
			send_refused(lease, ONEBEAT_REASON_BUSY, 0, strerror(status));
			lease_ended(lease);
			return;
		}
		log_about(lease->identity.uid);
		lease->state = LEASE_OPEN;
		ONEBEAT_CRASH_POINT("agent.held.open");
		if (loop_modify(&w->loop, lease->watch, lease->fd, EPOLLIN | EPOLLRDHUP) < 0 ||
		    !handshake_read(lease))
			lease_ended(lease);
		log_about_nobody();
		return;
	}
}

static const char *hello_fault(const struct onebeat_hello *hello, size_t n)
{
	if (n < sizeof(*hello) || hello->length > n - sizeof(*hello) ||
	    hello->length > ONEBEAT_LARGE_PAYLOAD)
		return "HELLO is cut short";
	if (hello->byte_order != ONEBEAT_SEGMENT_BYTE_ORDER)
		return "HELLO has another byte order than this host";
	if (hello->flags & ~(uint32_t)ONEBEAT_HELLO_FLAGS)
		return "HELLO has a flag that this agent does not know";
	return NULL;
}

static void refuse_version(struct lease *lease, const struct onebeat_hello *hello)
{
	char text[QUOTA_TEXT_MAX];

	snprintf(text, sizeof(text),
		 "the library speaks version %u.%u of the segment protocol, this agent %u.%u: "
		 "their first numbers must be the same",
		 hello->major, hello->minor, ONEBEAT_SEGMENT_MAJOR, ONEBEAT_SEGMENT_MINOR);
	send_refused(lease, ONEBEAT_REASON_VERSION, hello->cookie, text);
}

enum verdict {
	TAKE,
	LEAVE_THERE,
	END
};

static enum verdict on_hello(struct lease *lease, const struct onebeat_hello *hello, size_t n)
{
	const char *fault = hello_fault(hello, n);

	ONEBEAT_CRASH_POINT("agent.hello.seen");
	if (fault) {
		send_refused(lease, ONEBEAT_REASON_PROTOCOL, 0, fault);
		return END;
	}
	if (hello->major != ONEBEAT_SEGMENT_MAJOR) {
		refuse_version(lease, hello);
		return END;
	}
	if (lease->state == LEASE_NEW)
		return is_allowed(lease, hello->cookie) && hold(lease, hello) ? LEAVE_THERE : END;
	return welcome(lease, hello) ? TAKE : END;
}

static enum verdict on_ask(struct lease *lease, const struct onebeat_ask *ask, size_t n)
{
	struct slot *slot;

	ONEBEAT_CRASH_POINT("agent.ask.seen");
	if (lease->state != LEASE_OPEN || n < sizeof(*ask) || ask->length > n - sizeof(*ask) ||
	    ask->length > ONEBEAT_LARGE_PAYLOAD || ask->class >= ONEBEAT_N_CLASSES ||
	    (ask->class == ONEBEAT_CLASS_SMALL && ask->length > ONEBEAT_SMALL_PAYLOAD)) {
		send_refused(lease, ONEBEAT_REASON_PROTOCOL, 0,
			     "ASK is cut short, out of order or asks for no class");
		return END;
	}
	if (ask->length > 0)
		slot = publish(lease, (enum onebeat_class)ask->class, ask->cookie, ask->descriptor,
			       ask->length);
	else
		slot = grant_waiting(lease, (enum onebeat_class)ask->class);
	if (!slot && ask->length == 0)
		slot = grant_slot(lease, (enum onebeat_class)ask->class, 0);
	if (!slot)
		refuse_grant(lease, ask->cookie);
	else if (pub_of(slot) <= 1)
		handshake_send_grant(lease, slot, ask->cookie);
	/* Else its client writes there: it has had the answer. */
	return TAKE;
}

static enum verdict on_message(struct lease *lease, const union message *m, size_t n)
{
	if (n == ONEBEAT_BELL_SIZE)
		return lease->state == LEASE_OPEN
			       ? TAKE
			       : END; /* every turn drains: the wake was the message */
	if (n < sizeof(m->msg) || n > sizeof(*m) || m->msg.magic != ONEBEAT_LEASE_MAGIC ||
	    m->msg.size != n) {
		send_refused(lease, ONEBEAT_REASON_PROTOCOL, 0, "not a message of this protocol");
		return END;
	}
	switch (m->msg.type) {
	case ONEBEAT_MSG_HELLO:
		return on_hello(lease, &m->hello, n);
	case ONEBEAT_MSG_ASK:
		return on_ask(lease, &m->ask, n);
	case ONEBEAT_MSG_GOODBYE:
		lease->said_goodbye = true;
		ONEBEAT_CRASH_POINT("agent.goodbye.seen");
		return TAKE;
	default:
		send_refused(lease, ONEBEAT_REASON_PROTOCOL, 0, "message of an unknown type");
		return END;
	}
}

bool handshake_read(struct lease *lease)
{
	uint64_t now_ms = clock_now_ms();
	union message m;

	for (int i = 0; i < READ_BURST; i++) {
		ssize_t n = recv(lease->fd, &m, sizeof(m), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		if (!quota_message(&lease->watcher->quotas, lease->account, &lease->messages,
				   now_ms)) {
			lease_mute(lease);
			return true;
		}
		switch (on_message(lease, &m, (size_t)n)) {
		case LEAVE_THERE:
			return true;
		case END:
			accept_drain(lease->fd);
			return false;
		case TAKE:
			(void)recv(lease->fd, &m, 1, MSG_DONTWAIT);
			ONEBEAT_CRASH_POINT("agent.message.taken");
			break;
		}
	}
	return true; /* level-triggered: the rest comes with the next turn */
}
