/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * Replies out of a byte stream
 *
 * The shapes are those of official 1.4.8, 2.5.1 and 3.0.3 servers, and what the grammar allows besides. Each is
 * cut at every byte. Every piece is fed from a heap copy of exactly its size, so that a sanitizer sees one byte
 * read too many.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/framing.h"
#include "lib/framing_ear.h"

struct expected {
	int status;
	bool close;
	const char *body;
};

struct shape {
	const char *name;
	const char *wire;
	bool ends;                  /* the connection ends behind it */
	struct expected replies[4]; /* up to the first status 0 */
};

static const struct shape shapes[] = {
	{ "beat", BEAT, false, { { 200, false, BEAT_BODY } } },
	{ "beat, last of its connection",
	  BEAT_HEAD "Connection: close\r\n\r\n40\r\n" BEAT_BODY "\r\n0\r\n\r\n",
	  false,
	  { { 200, true, BEAT_BODY } } },
	{ "beat, forwarded inside a cluster",
	  "HTTP/1.1 200 \r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: 64\r\n" DATE
	  "\r\n" BEAT_BODY,
	  false,
	  { { 200, false, BEAT_BODY } } },
	{ "register",
	  "HTTP/1.1 200 \r\n" TOMCAT
	  "Content-Type: text/html;charset=UTF-8\r\nContent-Length: 2\r\n" DATE "\r\nok",
	  false,
	  { { 200, false, "ok" } } },
	{ "refused",
	  "HTTP/1.1 400 \r\n" TOMCAT
	  "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 41\r\n" DATE
	  "Connection: close\r\n\r\ncaused: Param 'serviceName' is required.;",
	  false,
	  { { 400, true, "caused: Param 'serviceName' is required.;" } } },
	{ "no such call",
	  "HTTP/1.1 501 \r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" DATE
	  "Connection: close\r\n\r\nf\r\n{\"status\":501}\n\r\n0\r\n\r\n",
	  false,
	  { { 501, true, "{\"status\":501}\n" } } },
	{ "not allowed, connection kept",
	  "HTTP/1.1 405 \r\nAllow: POST, DELETE\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" DATE
	  "\r\nE\r\n" UNKNOWN_BODY "\r\n0\r\n\r\n",
	  false,
	  { { 405, false, UNKNOWN_BODY } } },
	{ "chunks of all sizes, an extension and a trailer",
	  "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n002;x=\"y\"\r\nbc\r\nA\r\ndefghijklm\r\n"
	  "0\r\nChecksum: 1\r\n\r\n",
	  false,
	  { { 200, false, "abcdefghijklm" } } },
	{ "a blank line before it, bare reason, no space behind the status",
	  "\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
	  false,
	  { { 200, false, "x" } } },
	{ "no body at all",
	  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	  false,
	  { { 200, false, "" } } },
	{ "no content", "HTTP/1.1 204 No Content\r\n\r\n", false, { { 204, false, "" } } },
	{ "not modified",
	  "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
	  false,
	  { { 304, false, "" } } },
	{ "until the connection ends",
	  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall there is",
	  true,
	  { { 200, true, "all there is" } } },
	{ "nothing until the connection ends",
	  "HTTP/1.1 200 \r\n\r\n",
	  true,
	  { { 200, true, "" } } },
	{ "HTTP/1.0",
	  "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
	  false,
	  { { 200, true, "ok" } } },
	{ "HTTP/1.0 that keeps the connection",
	  "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
	  false,
	  { { 200, false, "ok" } } },
	{ "interim replies before it",
	  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" BEAT,
	  false,
	  { { 200, false, BEAT_BODY } } },
	{ "both framings on one connection",
	  BEAT "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok" BEAT_HEAD "\r\ne\r\n" UNKNOWN_BODY
	       "\r\n0\r\n\r\n",
	  false,
	  { { 200, false, BEAT_BODY }, { 200, false, "ok" }, { 200, false, UNKNOWN_BODY } } },
	{ "a refusal in a pipeline",
	  BEAT BEAT "HTTP/1.1 400 \r\nContent-Length: 3\r\nConnection: close\r\n\r\nbad",
	  false,
	  { { 200, false, BEAT_BODY }, { 200, false, BEAT_BODY }, { 400, true, "bad" } } },
};

#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void check(const struct heard *heard, const struct shape *shape, size_t cut)
{
	uint32_t n = 0;

	cr_assert_eq(heard->error, 0, "%s, cut at %zu", shape->name, cut);
	while (n < 4 && shape->replies[n].status != 0)
		n++;
	cr_assert_eq(heard->n_replies, n, "%s, cut at %zu: %u replies", shape->name, cut,
		     heard->n_replies);
	for (uint32_t i = 0; i < n; i++) {
		cr_assert_eq(heard->replies[i].status, shape->replies[i].status, "%s", shape->name);
		cr_assert_eq(heard->replies[i].close, shape->replies[i].close, "%s", shape->name);
		cr_assert_str_eq(heard->replies[i].body, shape->replies[i].body, "%s, cut at %zu",
				 shape->name, cut);
		cr_assert_eq(heard->replies[i].n_body, strlen(shape->replies[i].body));
	}
}

/* A read may end anywhere. */
Test(framing, understands_every_shape_cut_at_every_byte)
{
	struct framing *framing = new_framing();

	for (size_t i = 0; i < N_SHAPES; i++) {
		size_t n = strlen(shapes[i].wire);

		for (size_t cut = 0; cut <= n; cut++) {
			struct heard heard = { 0 };

			framing_reset(framing);
			hear(&heard, framing, shapes[i].wire, cut);
			hear(&heard, framing, shapes[i].wire + cut, n - cut);
			hear_end(&heard, framing);
			check(&heard, &shapes[i], cut);
			forget(&heard);
		}
	}
	framing_free(framing);
}

Test(framing, understands_every_shape_byte_by_byte)
{
	struct framing *framing = new_framing();

	for (size_t i = 0; i < N_SHAPES; i++) {
		struct heard heard = { 0 };

		framing_reset(framing);
		for (const char *p = shapes[i].wire; *p; p++)
			hear(&heard, framing, p, 1);
		hear_end(&heard, framing);
		check(&heard, &shapes[i], 1);
		forget(&heard);
	}
	framing_free(framing);
}

/* A reply is whole at its last byte: waiting for the next read would cost a time-out. */
Test(framing, gives_a_reply_at_its_last_byte_and_takes_no_byte_of_the_next)
{
	struct framing *framing = new_framing();

	for (size_t i = 0; i < N_SHAPES; i++) {
		char *two;
		struct framing_reply reply;
		size_t n = strlen(shapes[i].wire);
		size_t consumed;

		if (shapes[i].ends || shapes[i].replies[1].status != 0)
			continue;
		framing_reset(framing);
		cr_assert_gt(asprintf(&two, "%sHTTP/1.1 999 next", shapes[i].wire), 0);
		cr_assert_eq(framing_feed(framing, two, strlen(two), &consumed, &reply),
			     FRAMING_REPLY, "%s", shapes[i].name);
		cr_assert_eq(consumed, n, "%s: %zu of %zu bytes", shapes[i].name, consumed, n);
		cr_assert(!framing_midway(framing));
		framing_reset(framing);
		cr_assert_eq(framing_feed(framing, two, n - 1, &consumed, &reply), FRAMING_MORE,
			     "%s", shapes[i].name);
		cr_assert(framing_midway(framing));
		free(two);
	}
	framing_free(framing);
}

/* The end of the connection is an end of the reply only where no length was given. */
Test(framing, refuses_a_connection_that_ends_within_a_reply)
{
	struct framing *framing = new_framing();

	for (size_t i = 0; i < N_SHAPES; i++) {
		size_t n = strlen(shapes[i].wire);
		size_t n_head = (size_t)(strstr(shapes[i].wire + 2, "\r\n\r\n") + 4 -
					 shapes[i].wire);

		if (shapes[i].replies[1].status != 0)
			continue;
		for (size_t cut = 1; cut < (shapes[i].ends ? n_head : n); cut++) {
			struct heard heard = { 0 };

			framing_reset(framing);
			hear(&heard, framing, shapes[i].wire, cut);
			hear_end(&heard, framing);
			cr_assert_eq(heard.n_replies, 0, "%s, ended at %zu", shapes[i].name, cut);
			cr_assert_eq(heard.error, -EBADMSG, "%s, ended at %zu", shapes[i].name,
				     cut);
			cr_assert_str_not_empty(framing_error(framing));
			forget(&heard);
		}
	}
	framing_free(framing);
}

Test(framing, takes_an_end_between_replies_for_no_error)
{
	struct framing *framing = new_framing();
	struct framing_reply reply;
	size_t consumed;

	cr_assert_eq(framing_end(framing, &reply), FRAMING_MORE);
	cr_assert_eq(framing_feed(framing, BEAT, strlen(BEAT), &consumed, &reply), FRAMING_REPLY);
	cr_assert_eq(framing_end(framing, &reply), FRAMING_MORE);
	framing_free(framing);
}

Test(framing, refuses_what_is_not_http)
{
	static const char *const garbage[] = {
		"SSH-2.0-OpenSSH_9.2\r\n",
		"<html>hello</html>\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00",
		"HTTP/2 200\r\n\r\n!",
		"HTTP/1.1 abc\r\n\r\n",
		"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 20000 OK\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		struct framing *framing = new_framing();
		struct heard heard = { 0 };

		hear(&heard, framing, garbage[i], strlen(garbage[i]));
		cr_assert_eq(heard.error, -EBADMSG, "%zu: %s", i, garbage[i]);
		cr_assert_eq(heard.n_replies, 0, "%zu", i);
		cr_assert_str_not_empty(framing_error(framing));
		forget(&heard);
		framing_free(framing);
	}
}

/* What follows garbage can be anything but trustworthy. */
Test(framing, stays_in_error_until_it_is_reset)
{
	struct framing *framing = new_framing();
	struct heard heard = { 0 };

	hear(&heard, framing, "nonsense", 8);
	cr_assert_eq(heard.error, -EBADMSG);
	heard.error = 0;
	hear(&heard, framing, BEAT, strlen(BEAT));
	cr_assert_eq(heard.error, -EBADMSG);
	cr_assert_eq(heard.n_replies, 0);
	heard.error = 0;
	framing_reset(framing);
	cr_assert_str_empty(framing_error(framing));
	hear(&heard, framing, BEAT, strlen(BEAT));
	cr_assert_eq(heard.n_replies, 1);
	forget(&heard);
	framing_free(framing);
}
