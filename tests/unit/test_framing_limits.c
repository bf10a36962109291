/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * What framing does with too much: heads, bodies and replies without end, long pipelines
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/framing.h"
#include "http/result.h"
#include "lib/framing_ear.h"

/* A head of n bytes in all. */
static char *head_of(size_t n)
{
	static const char first[] = "HTTP/1.1 200 \r\nContent-Length: 0\r\nX: ";
	char *head = malloc(n + 1);

	cr_assert_not_null(head);
	memset(head, 'x', n);
	memcpy(head, first, sizeof(first) - 1);
	memcpy(head + n - 4, "\r\n\r\n", 5);
	return head;
}

Test(framing, takes_a_head_of_16_kib_and_not_a_byte_more)
{
	for (size_t over = 0; over <= 1; over++) {
		struct framing *framing = new_framing();
		struct heard heard = { 0 };
		char *head = head_of(FRAMING_HEAD_MAX + over);

		hear(&heard, framing, head, FRAMING_HEAD_MAX + over);
		cr_assert_eq(heard.n_replies, 1 - over);
		cr_assert_eq(heard.error, over ? -EBADMSG : 0);
		forget(&heard);
		free(head);
		framing_free(framing);
	}
}

/* Interim replies count as head: a server may not send them for ever. */
Test(framing, refuses_endless_interim_replies)
{
	struct framing *framing = new_framing();
	struct heard heard = { 0 };
	size_t n = 0;

	while (heard.error == 0) {
		hear(&heard, framing, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		n += 25;
		cr_assert_leq(n, FRAMING_HEAD_MAX + 25);
	}
	cr_assert_eq(heard.error, -EBADMSG);
	framing_free(framing);
}

/* A body of n bytes, its length told or in chunks; the reply behind it proves that its end was found. */
static void check_body(size_t n, size_t n_kept, bool chunked)
{
	struct framing *framing = new_framing();
	struct heard heard = { 0 };
	char *body = malloc(n);
	char head[128];

	cr_assert_not_null(body);
	for (size_t i = 0; i < n; i++)
		body[i] = (char)('a' + i % 26);
	if (chunked)
		snprintf(head, sizeof(head),
			 "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
	else
		snprintf(head, sizeof(head), "HTTP/1.1 200 \r\nContent-Length: %zu\r\n\r\n", n);
	hear(&heard, framing, head, strlen(head));
	for (size_t at = 0; at < n; at += 5000)
		hear(&heard, framing, body + at, n - at < 5000 ? n - at : 5000);
	if (chunked)
		hear(&heard, framing, "\r\n0\r\n\r\n", 7);
	hear(&heard, framing, BEAT, strlen(BEAT));
	cr_assert_eq(heard.error, 0);
	cr_assert_eq(heard.n_replies, 2, "%zu bytes: %u replies", n, heard.n_replies);
	cr_assert_eq(heard.replies[0].n_body, n_kept);
	cr_assert_eq(memcmp(heard.replies[0].body, body, n_kept), 0);
	cr_assert_str_eq(heard.replies[1].body, BEAT_BODY);
	forget(&heard);
	free(body);
	framing_free(framing);
}

Test(framing, cuts_long_bodies_and_finds_their_end)
{
	for (int chunked = 0; chunked <= 1; chunked++) {
		check_body(HTTP_BODY_MAX - 1, HTTP_BODY_MAX - 1, chunked);
		check_body(HTTP_BODY_MAX, HTTP_BODY_MAX, chunked);
		check_body(HTTP_BODY_MAX + 1, HTTP_BODY_MAX, chunked);
		check_body(500000, HTTP_BODY_MAX, chunked);
	}
}

/* No limit on the whole would let one server hold a connection, and the loop, for ever. */
Test(framing, refuses_a_reply_without_end)
{
	static const char piece[4096] = { 0 };
	struct framing *framing = new_framing();
	struct heard heard = { 0 };
	size_t n = 0;

	hear(&heard, framing, "HTTP/1.1 200 \r\n\r\n", 17);
	while (heard.error == 0) {
		hear(&heard, framing, piece, sizeof(piece));
		n += sizeof(piece);
		cr_assert_leq(n, FRAMING_REPLY_MAX);
	}
	cr_assert_eq(heard.error, -EBADMSG);
	cr_assert_eq(heard.n_replies, 0);
	framing_free(framing);
}

/* A body may hold any byte. */
Test(framing, keeps_nul_bytes_of_a_body)
{
	static const char wire[] = "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\na\0b\0c";
	struct framing *framing = new_framing();
	struct framing_reply reply;
	size_t consumed;

	cr_assert_eq(framing_feed(framing, wire, sizeof(wire) - 1, &consumed, &reply),
		     FRAMING_REPLY);
	cr_assert_eq(reply.n_body, 5);
	cr_assert_eq(memcmp(reply.body, "a\0b\0c", 6), 0);
	framing_free(framing);
}

/* Reads of a busy pipeline end where they like, many replies long. */
Test(framing, understands_a_pipeline_in_pieces_of_any_size)
{
	char stream[REPLIES_MAX * sizeof(BEAT)] = "";
	struct framing *framing = new_framing();
	size_t n;

	for (int i = 0; i < REPLIES_MAX; i++)
		memcpy(stream + (size_t)i * (sizeof(BEAT) - 1), BEAT, sizeof(BEAT));
	n = strlen(stream);
	for (size_t piece = 2; piece <= n; piece += piece / 2) {
		struct heard heard = { 0 };

		framing_reset(framing);
		for (size_t at = 0; at < n; at += piece)
			hear(&heard, framing, stream + at, n - at < piece ? n - at : piece);
		cr_assert_eq(heard.error, 0);
		cr_assert_eq(heard.n_replies, REPLIES_MAX, "pieces of %zu: %u replies", piece,
			     heard.n_replies);
		for (uint32_t i = 0; i < heard.n_replies; i++)
			cr_assert_str_eq(heard.replies[i].body, BEAT_BODY);
		forget(&heard);
	}
	framing_free(framing);
}
