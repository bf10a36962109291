/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_LEASE_H
#define ONEBEAT_LEASE_H

/*
 * Messages on a lease: one SOCK_SEQPACKET connection a process, on client.sock (private, not installed)
 *
 * The connection is the lease: its end is what tells the agent that holders are gone. Nothing about
 * identity is in a message; the agent takes pid, uid and gid from the kernel when it accepts.
 *
 * client -> agent                           agent -> client
 *   HELLO  [+ first descriptor]               WELCOME + fds {DATA, STATUS}   or REFUSED, then close
 *   ASK    class [+ descriptor]               GRANT                          or REFUSED
 *   BELL   (any one-byte message)             (nothing)
 *   GOODBYE                                   (nothing; the agent closes)
 *
 * One grant is kept ahead: as soon as the agent sees a granted slot published, it sends the next GRANT
 * unasked (dropped when the client's buffer is full; ASK gets it again). A descriptor that comes inside
 * HELLO or ASK is published by the agent itself: the grant that answers carries version 1, a plain grant
 * version 0, and the client goes on from there. cookie is echoed from HELLO and ASK; 0 in unasked grants.
 * After WITHDRAW a slot is granted again only to the same lease, or after proof of its process's death.
 */

#include <onebeat/segment.h>

#define ONEBEAT_LEASE_MAGIC UINT32_C(0x4f42454c) /* "LEBO" in little-endian memory */
#define ONEBEAT_BELL_SIZE 1u
#define ONEBEAT_CLIENT_SOCKET "client.sock"
#define ONEBEAT_CONTROL_SOCKET "control.sock"
#define ONEBEAT_RUNTIME_DIR_MAX 90u /* leaves room for the socket's name in sun_path (108) */
#define ONEBEAT_RUNTIME_DIR_SYSTEM "/run/onebeat"

enum onebeat_msg_type {
	ONEBEAT_MSG_HELLO = 1,
	ONEBEAT_MSG_ASK = 2,
	ONEBEAT_MSG_GOODBYE = 3,
	ONEBEAT_MSG_WELCOME = 16,
	ONEBEAT_MSG_GRANT = 17,
	ONEBEAT_MSG_REFUSED = 18
};

struct onebeat_msg {
	uint32_t magic;
	uint16_t type;
	uint16_t size; /* of the whole message */
};

enum {
	ONEBEAT_HELLO_ACROSS_EXEC = 1u << 0,
	ONEBEAT_HELLO_FLAGS = 1u /* all known */
};

struct onebeat_hello {
	struct onebeat_msg msg;
	uint16_t major;
	uint16_t minor;
	uint32_t byte_order;
	uint32_t flags; /* ONEBEAT_HELLO_... */
	uint32_t feat;  /* 0 */
	uint32_t cookie;
	char library[16]; /* version text, NUL-padded: for the operator only */
	uint32_t length;  /* of the descriptor that follows; 0: none */
	uint32_t descriptor[];
};

struct onebeat_ask {
	struct onebeat_msg msg;
	uint32_t class;
	uint32_t cookie;
	uint32_t length; /* of the descriptor that follows; 0: none */
	uint32_t descriptor[];
};

struct onebeat_grant {
	uint32_t slot; /* ONEBEAT_NO_SLOT: no grant here */
	uint32_t generation;
	uint32_t class;
	uint32_t version; /* pub value now: 0, or 1 when the agent has published the descriptor */
	uint32_t cookie;
};

struct onebeat_welcome {
	struct onebeat_msg msg;
	uint16_t major;
	uint16_t minor;
	uint32_t epoch;
	struct onebeat_grant grants[2]; /* [0] answers HELLO's descriptor, [1] is the one ahead */
};

struct onebeat_granted {
	struct onebeat_msg msg;
	struct onebeat_grant grant;
};

struct onebeat_refused {
	struct onebeat_msg msg;
	uint32_t cookie;
	uint32_t reason; /* enum onebeat_reason */
	char text[128];  /* a sentence, NUL-terminated */
};

enum onebeat_reason {
	ONEBEAT_REASON_PROTOCOL = 1, /* malformed or unknown message; the agent closes */
	ONEBEAT_REASON_VERSION = 2,  /* major version differs; the agent closes */
	ONEBEAT_REASON_FULL = 3,     /* no slot free */
	ONEBEAT_REASON_DENIED = 4,   /* not allowed for this uid */
	ONEBEAT_REASON_BUSY = 5, /* the agent could not take the lease now (descriptors, memory) */
	ONEBEAT_REASON_QUOTA = 6 /* the uid has as many as it may */
};

#define ONEBEAT_LEASE_MSG_MAX (sizeof(struct onebeat_hello) + ONEBEAT_LARGE_PAYLOAD)

_Static_assert(sizeof(struct onebeat_msg) == 8, "message head is 8 bytes");
_Static_assert(sizeof(struct onebeat_hello) == 48, "hello is 48 bytes");
_Static_assert(sizeof(struct onebeat_ask) == 20, "ask is 20 bytes");
_Static_assert(sizeof(struct onebeat_welcome) == 56, "welcome is 56 bytes");
_Static_assert(sizeof(struct onebeat_granted) == 28, "grant is 28 bytes");
_Static_assert(sizeof(struct onebeat_refused) == 144, "refused is 144 bytes");

#endif
