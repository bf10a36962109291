/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CHANNEL_H
#define BASE_CHANNEL_H

#include <stdint.h>

/*
 * What keeper and agent say to each other, on a SOCK_SEQPACKET pair. Both may be of different
 * builds during an upgrade, so every message carries the version. What an agent inherits is in
 * base/manifest.h.
 */
#define CHANNEL_VERSION 1u

enum channel_kind {
	CHANNEL_NONE = 0,
	CHANNEL_LINK = 1,    /* the agent's end of this very channel (manifest only) */
	CHANNEL_CLIENTS = 2, /* listening client.sock */
	CHANNEL_CONTROL = 3, /* listening control.sock */
	CHANNEL_DATA = 4,    /* a domain's DATA memfd; id = uid */
	CHANNEL_STATUS = 5,  /* a domain's STATUS memfd; id = uid */
	CHANNEL_LEASE = 6,   /* duplicate of a lease; id = its SO_COOKIE */
	/*
	 * The configuration, as text in a memfd; id 0: in force, 1: the one that a reload is to bring. An agent
	 * reads the highest that it inherits, and the files when there is none.
	 */
	CHANNEL_SETTINGS = 7
};

enum channel_type {
	CHANNEL_HOLD = 1,  /* agent -> keeper: keep this descriptor under (kind, id); answered */
	CHANNEL_DROP = 2,  /* agent -> keeper: close (kind, id); not answered */
	CHANNEL_READY = 3, /* agent -> keeper: adopted, working; id: CHANNEL_CAN_... */
	CHANNEL_LEFT = 4,  /* agent -> keeper: stop or leave is done, exit both with status id */
	CHANNEL_UPGRADE =
		5, /* agent -> keeper: somebody who may wants it, and waits at this descriptor */
	/*
	 * agent -> keeper: another agent is to follow with SETTINGS 1, which it has been given before this; with
	 * or without somebody who waits
	 */
	CHANNEL_RELOAD = 7,
	CHANNEL_ALIVE = 6,  /* agent -> keeper: id of the ASK, from the sender's thread */
	CHANNEL_HELD = 16,  /* keeper -> agent: kind and id of the HOLD; status 0 or an errno */
	CHANNEL_STOP = 17,  /* keeper -> agent: finish, keep registrations */
	CHANNEL_YIELD = 18, /* keeper -> agent: as STOP, without LEFT: another agent follows */
	CHANNEL_ASK = 19,   /* keeper -> agent: is your work going on? */
	CHANNEL_REREAD =
		20 /* keeper -> agent: SIGHUP has come: read the configuration and ask for a RELOAD */
};

/*
 * What an agent can do, in its READY. One of an earlier release says 0 and would read over YIELD and ASK;
 * both sides read over messages of a type that they do not know.
 */
#define CHANNEL_CAN_YIELD UINT64_C(1) /* and answers ASK */
#define CHANNEL_CAN_REREAD UINT64_C(2)

struct channel_msg {
	uint16_t version;
	uint16_t type;
	uint16_t kind;
	uint16_t status;
	uint64_t id;
};

_Static_assert(sizeof(struct channel_msg) == 16, "channel message is 16 bytes");

/*
 * Sends one message, with fd when >= 0; waits unless the socket is O_NONBLOCK. 0 or a negative
 * errno.
 */
int channel_send(int sock, const struct channel_msg *msg, int fd);
/*
 * 1: one message (and *fd, else -1; the caller's); 0: the other end is gone and all that it said is
 * read. -EAGAIN; -EPROTO (another version) or -EMFILE (no room for its descriptor): *msg is filled,
 * its descriptor lost; -EBADMSG: not one of ours; or a negative errno. flags: MSG_DONTWAIT.
 */
int channel_receive(int sock, struct channel_msg *msg, int *fd, int flags);

#endif
