/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies out of a byte stream
 *
 * The grammar of HTTP/1.1 is http-parser's; this file turns its callbacks into "here is one whole
 * reply, and so many bytes of the input belonged to it", which is what a pipelined connection
 * needs. It is the only file that knows the library, so that llhttp can take its place where a
 * distribution has that instead.
 *
 * The parser pauses itself at the end of a reply, hence exact counts. Interim (1xx) replies are
 * swallowed; 101 is an error, because nobody asked to switch protocols. Two limits stand in for a
 * lot of checks: the head's, and one for the whole reply, which also bounds chunk extensions,
 * trailers and endless 1xx. Bodies longer than HTTP_BODY_MAX are cut, and read on to their end.
 *
 * The body buffer is kept from reply to reply, so that nothing is allocated once a connection is
 * warm.
 */
#include "http/framing.h"

#include <errno.h>
#include <http_parser.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/result.h"

#define BODY_FIRST 512u /* room for an ordinary beat reply */

struct framing {
	http_parser parser;
	size_t n_wire; /* bytes of the reply so far, 1xx before it included */
	bool head_done;
	bool complete; /* the reply is whole */
	bool no_memory;
	bool close;
	char *body;
	size_t n_body;
	size_t size_body;
	const char *error; /* NULL: none */
};

static struct framing *framing_of(http_parser *parser)
{
	return parser->data;
}

/* Ends the parsing from within a callback: on_headers_complete has meanings of its own for 1 and 2. */
static int refuse(struct framing *f, const char *error)
{
	f->error = error;
	return -1;
}

static int on_headers_complete(http_parser *parser)
{
	struct framing *f = framing_of(parser);

	if (parser->status_code < 100)
		return refuse(f, "status code below 100");
	if (parser->status_code == 101)
		return refuse(f, "switch of protocols that nobody asked for");
	f->head_done = parser->status_code >= 200;
	return 0;
}

/* Room for n more bytes and a NUL, at most HTTP_BODY_MAX in all. */
static bool body_reserve(struct framing *f, size_t n)
{
	size_t size = f->size_body ? f->size_body : BODY_FIRST;
	char *body;

	while (size < f->n_body + n + 1)
		size *= 2;
	if (size == f->size_body)
		return true;
	body = realloc(f->body, size);
	if (!body)
		return false;
	f->body = body;
	f->size_body = size;
	return true;
}

static int on_body(http_parser *parser, const char *bytes, size_t n)
{
	struct framing *f = framing_of(parser);

	if (n > HTTP_BODY_MAX - f->n_body)
		n = HTTP_BODY_MAX - f->n_body;
	if (n == 0)
		return 0;
	if (!body_reserve(f, n)) {
		f->no_memory = true;
		return refuse(f, "out of memory");
	}
	memcpy(f->body + f->n_body, bytes, n);
	f->n_body += n;
	return 0;
}

static int on_message_complete(http_parser *parser)
{
	struct framing *f = framing_of(parser);

	if (!f->head_done)
		return 0; /* a 1xx */
	f->complete = true;
	f->close = !http_should_keep_alive(parser);
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

int framing_new(struct framing **out)
{
	struct framing *f = calloc(1, sizeof(*f));

	*out = f;
	if (!f)
		return -ENOMEM;
	framing_reset(f);
	return 0;
}

struct framing *framing_free(struct framing *f)
{
	if (f)
		free(f->body);
	free(f);
	return NULL;
}

static void begin_reply(struct framing *f)
{
	f->n_wire = 0;
	f->n_body = 0;
	f->head_done = false;
	f->complete = false;
}

void framing_reset(struct framing *f)
{
	http_parser_init(&f->parser, HTTP_RESPONSE);
	f->parser.data = f;
	f->error = NULL;
	f->no_memory = false;
	begin_reply(f);
}

bool framing_midway(const struct framing *f)
{
	return !f->complete && f->n_wire > 0;
}

const char *framing_error(const struct framing *f)
{
	return f->error ? f->error : "";
}

static int fail(struct framing *f, const char *error)
{
	if (!f->error)
		f->error = error;
	return f->no_memory ? -ENOMEM : -EBADMSG;
}

static int deliver(struct framing *f, struct framing_reply *reply)
{
	if (f->n_body > 0)
		f->body[f->n_body] = '\0';
	*reply = (struct framing_reply){
		.status = (int)f->parser.status_code,
		.close = f->close,
		.body = f->n_body > 0 ? f->body : "",
		.n_body = f->n_body,
	};
	return FRAMING_REPLY;
}

/* What the parser made of the last slice. */
static int judge(struct framing *f, struct framing_reply *reply)
{
	enum http_errno error = HTTP_PARSER_ERRNO(&f->parser);

	if (f->complete) {
		http_parser_pause(&f->parser, 0);
		return deliver(f, reply);
	}
	if (error != HPE_OK)
		return fail(f, http_errno_description(error));
	if (!f->head_done && f->n_wire >= FRAMING_HEAD_MAX)
		return fail(f, "head of the reply is too long");
	if (f->n_wire >= FRAMING_REPLY_MAX)
		return fail(f, "reply is too long");
	return FRAMING_MORE;
}

int framing_feed(struct framing *f, const char *bytes, size_t n, size_t *consumed,
		 struct framing_reply *reply)
{
	int r = FRAMING_MORE;

	*consumed = 0;
	if (f->error)
		return fail(f, f->error);
	if (f->complete)
		begin_reply(f);
	while (*consumed < n && r == FRAMING_MORE) {
		size_t room = (f->head_done ? FRAMING_REPLY_MAX : FRAMING_HEAD_MAX) - f->n_wire;
		size_t slice = n - *consumed < room ? n - *consumed : room;
		size_t taken = http_parser_execute(&f->parser, &settings, bytes + *consumed, slice);

		*consumed += taken;
		f->n_wire += taken;
		r = judge(f, reply);
	}
	return r;
}

int framing_end(struct framing *f, struct framing_reply *reply)
{
	if (f->error)
		return fail(f, f->error);
	if (!framing_midway(f))
		return FRAMING_MORE;
	http_parser_execute(&f->parser, &settings, NULL, 0);
	if (f->complete)
		return deliver(f, reply);
	return fail(f, "connection closed in the middle of a reply");
}
