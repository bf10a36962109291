/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_FRAMING_EAR_H
#define LIB_FRAMING_EAR_H

/* Listening to a stream of replies through framing.h, for the tests of framing. */

#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/framing.h"

#define TOMCAT                                     \
	"Vary: Origin\r\n"                         \
	"Vary: Access-Control-Request-Method\r\n"  \
	"Vary: Access-Control-Request-Headers\r\n" \
	"Content-Security-Policy: script-src 'self'\r\n"
#define DATE "Date: Mon, 23 Nov 2026 07:49:42 GMT\r\n"
#define BEAT_BODY "{\"clientBeatInterval\":5000,\"code\":10200,\"lightBeatEnabled\":true}"
#define BEAT_HEAD                  \
	"HTTP/1.1 200 \r\n" TOMCAT \
	"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n" DATE
#define BEAT BEAT_HEAD "\r\n40\r\n" BEAT_BODY "\r\n0\r\n\r\n"
#define UNKNOWN_BODY "{\"code\":20404}"

#define REPLIES_MAX 16

/* What a stream came to. */
struct heard {
	struct {
		int status;
		bool close;
		char *body;
		size_t n_body;
	} replies[REPLIES_MAX];
	uint32_t n_replies;
	int error; /* of the last feed; 0: none */
};

static inline void note(struct heard *heard, const struct framing_reply *reply)
{
	cr_assert_lt(heard->n_replies, REPLIES_MAX);
	cr_assert_eq(reply->body[reply->n_body], '\0');
	heard->replies[heard->n_replies].status = reply->status;
	heard->replies[heard->n_replies].close = reply->close;
	heard->replies[heard->n_replies].n_body = reply->n_body;
	heard->replies[heard->n_replies].body = strndup(reply->body, reply->n_body);
	heard->n_replies++;
}

static inline void hear(struct heard *heard, struct framing *framing, const char *bytes, size_t n)
{
	char *copy = malloc(n ? n : 1);
	size_t at = 0;

	cr_assert_not_null(copy);
	memcpy(copy, bytes, n);
	while (at < n && heard->error == 0) {
		struct framing_reply reply;
		size_t consumed;
		int r = framing_feed(framing, copy + at, n - at, &consumed, &reply);

		cr_assert_leq(consumed, n - at);
		at += consumed;
		if (r == FRAMING_REPLY)
			note(heard, &reply);
		else if (r < 0)
			heard->error = r;
		else
			cr_assert_eq(at, n, "more is wanted, and not all was taken");
	}
	free(copy);
}

static inline void hear_end(struct heard *heard, struct framing *framing)
{
	struct framing_reply reply;
	int r = framing_end(framing, &reply);

	if (r == FRAMING_REPLY)
		note(heard, &reply);
	else if (r < 0)
		heard->error = r;
}

static inline void forget(struct heard *heard)
{
	for (uint32_t i = 0; i < heard->n_replies; i++)
		free(heard->replies[i].body);
	*heard = (struct heard){ 0 };
}

static inline struct framing *new_framing(void)
{
	struct framing *framing;

	cr_assert_eq(framing_new(&framing), 0);
	return framing;
}

#endif
