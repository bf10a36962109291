/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a reply to the library's response
 *
 * JSON goes out in chunks, text with a length, as on an official server. A body that is cut in
 * half keeps its framing, so a client sees a reply that began well and ends too soon; one that is
 * split comes in as many chunks, or pieces, as it has bytes.
 */
#include "send.h"

#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
	CHUNK_MAX = 8 * 1024
};

struct content {
	struct sbuf body;
	bool half;
	bool split;
};

static ssize_t read_body(void *cls, uint64_t at, char *to, size_t max)
{
	const struct content *c = cls;
	size_t end = c->half ? c->body.len / 2 : c->body.len;
	size_t left = end - (size_t)at;

	if (c->split)
		max = 1;
	if (!left)
		return c->half ? MHD_CONTENT_READER_END_WITH_ERROR
			       : MHD_CONTENT_READER_END_OF_STREAM;
	memcpy(to, c->body.data + at, left < max ? left : max);
	return (ssize_t)(left < max ? left : max);
}

static void free_body(void *cls)
{
	struct content *c = cls;

	sbuf_deinit(&c->body);
	free(c);
}

/* Moves the body into a response that is read piece by piece: of unknown size it is sent in
 * chunks. */
static struct MHD_Response *piecewise_response(struct api_reply *reply, const struct send_how *how)
{
	size_t len = reply->body.len;
	uint64_t size = reply->chunked ? MHD_SIZE_UNKNOWN : len;
	struct content *c = malloc(sizeof(*c));
	struct MHD_Response *response;

	if (!c)
		return NULL;
	*c = (struct content){ .body = reply->body, .half = how->half, .split = how->split };
	reply->body = (struct sbuf)SBUF_NULL;
	response = MHD_create_response_from_callback(size, len < CHUNK_MAX ? len + 1 : CHUNK_MAX,
						     read_body, c, free_body);
	if (!response)
		free_body(c);
	return response;
}

static struct MHD_Response *fixed_response(struct sbuf *body)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(body->len, body->data,
									MHD_RESPMEM_MUST_FREE);

	if (response)
		*body = (struct sbuf)SBUF_NULL;
	return response;
}

/* The connection headers; keep-alive is only confirmed to those who asked for it. */
static void add_connection(struct MHD_Connection *con, struct MHD_Response *response,
			   const struct send_how *how)
{
	const char *asked = MHD_lookup_connection_value(con, MHD_HEADER_KIND,
							MHD_HTTP_HEADER_CONNECTION);
	char timeout[32];

	if (how->close) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	} else if (asked && strcasecmp(asked, "keep-alive") == 0) {
		snprintf(timeout, sizeof(timeout), "timeout=%u", how->idle_s);
		MHD_set_response_options(response, MHD_RF_SEND_KEEP_ALIVE_HEADER, MHD_RO_END);
		MHD_add_response_header(response, "Keep-Alive", timeout);
	}
}

enum MHD_Result send_reply(struct MHD_Connection *con, struct api_reply *reply,
			   const struct send_how *how)
{
	struct MHD_Response *response = reply->chunked || how->half || how->split
						? piecewise_response(reply, how)
						: fixed_response(&reply->body);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	if (reply->type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
	if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED && reply->allow[0])
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
	if (reply->authorization[0])
		MHD_add_response_header(response, MHD_HTTP_HEADER_AUTHORIZATION,
					reply->authorization);
	add_connection(con, response, how);
	result = MHD_queue_response(con, (unsigned int)reply->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Dissolving the association sends a reset, as closing with no linger would; but closing is the
 * library's, and it says an orderly goodbye first. What was sent before stays readable. */
void send_reset(struct MHD_Connection *con)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		con, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (info)
		(void)connect(info->connect_fd, &none, sizeof(none));
}
