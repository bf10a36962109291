/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_REQUEST_HANDLE_H
#define HTTP_REQUEST_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/curl_glue.h"
#include "http/request_queue.h"

/* One easy handle, for requests to one node. */
struct request_handle {
	uint32_t node;
	CURL *easy;
	struct request *request; /* the one under way; NULL: idle */
	char *body;
	size_t n_body;
	size_t size_body;
	size_t n_wire; /* bytes of the body that came, kept or not */
	struct curl_slist *headers;
	struct curl_slist *form_headers; /* those of a request with a body */
	bool form;                       /* the easy handle is set up for one */
	uint32_t generation;             /* of the token in the headers */
	struct curl_slist *route;
	const struct http_nodes *nodes;
	char error[CURL_ERROR_SIZE];
};

/* What came of a transfer; valid until the handle's next one. */
struct request_handle_result {
	int status;       /* 0: not answered */
	const char *body; /* NUL-terminated */
	size_t n_body;
	const char *why; /* "" when answered */
	bool sent;       /* a byte of it was written */
};

/* Neither may move, and nodes outlives the handle. 0 or -ENOMEM. */
int request_handle_init(struct request_handle *handle, struct curl_glue *glue,
			const struct http_nodes *nodes, uint32_t node);
/* Drops the request. Idempotent. */
void request_handle_deinit(struct request_handle *handle, struct curl_glue *glue);

/* Takes the request over when it returns 0; -ENOMEM leaves it with the caller. */
int request_handle_begin(struct request_handle *handle, struct curl_glue *glue,
			 struct request *request, uint32_t connect_ms, uint32_t total_ms);
/* The transfer that ended with code; the handle is idle then, and its request the caller's. */
struct request *request_handle_end(struct request_handle *handle, struct curl_glue *glue,
				   CURLcode code, struct request_handle_result *out);
struct request_handle *request_handle_of(CURL *easy);

#endif
