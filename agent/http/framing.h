/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

#define FRAMING_HEAD_MAX 16384u    /* head of a reply, with the 1xx replies before it */
#define FRAMING_REPLY_MAX 1048576u /* a whole reply on the wire: more is nonsense or malice */

/* The replies of one connection. */
struct framing;

struct framing_reply {
	int status;
	bool close;       /* the server ends the connection after this reply */
	const char *body; /* NUL-terminated, cut at HTTP_BODY_MAX; valid until the next call */
	size_t n_body;
};

enum {
	FRAMING_MORE = 0,
	FRAMING_REPLY = 1
};

int framing_new(struct framing **out);
/* Takes NULL, returns NULL. */
struct framing *framing_free(struct framing *framing);
/* Forgets everything: a new connection begins. */
void framing_reset(struct framing *framing);

/*
 * Takes bytes up to the end of one reply; *consumed says how many. FRAMING_MORE: all of them, and
 * the reply is not whole yet. FRAMING_REPLY: *reply is filled in. -EBADMSG: not HTTP, or too long
 * (framing_error() says which); -ENOMEM. After an error only framing_reset() helps.
 */
int framing_feed(struct framing *framing, const char *bytes, size_t n, size_t *consumed,
		 struct framing_reply *reply);
/*
 * The connection has ended. FRAMING_REPLY: its end was that of a reply without a length.
 * FRAMING_MORE: it came between two replies. -EBADMSG: within one.
 */
int framing_end(struct framing *framing, struct framing_reply *reply);

/* A reply has begun and is not whole. */
bool framing_midway(const struct framing *framing);
/* A static sentence about the last error. */
const char *framing_error(const struct framing *framing);

#endif
