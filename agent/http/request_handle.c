/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One easy handle of the request lane
 *
 * Made once with all that does not change: libcurl formats a URL byte by byte, so the URL is
 * constant and what differs goes through CURLOPT_REQUEST_TARGET. A plain CUSTOMREQUEST sends no
 * Content-Length, which some servers want of a POST, hence the header. A form has a body, which
 * libcurl reads from the request's own target.
 *
 * The body is kept up to HTTP_BODY_MAX and read on to FRAMING_REPLY_MAX, as in the beat lane.
 */
#include "http/request_handle.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <onebeat/crashpoint.h>
#include "http/framing.h"
#include "http/https.h"
#include "nacos/request.h"

#define BODY_FIRST 512u
#define MAX_IDLE_S 50L /* the servers close at 60 */

static const char *const method_names[] = {
	[HTTP_GET] = "GET", [HTTP_POST] = "POST",     [HTTP_POST_FORM] = "POST",
	[HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE",
};

static bool body_reserve(struct request_handle *handle, size_t n)
{
	size_t size = handle->size_body ? handle->size_body : BODY_FIRST;
	char *body;

	while (size < handle->n_body + n + 1)
		size *= 2;
	if (size == handle->size_body)
		return true;
	body = realloc(handle->body, size);
	if (!body)
		return false;
	handle->body = body;
	handle->size_body = size;
	return true;
}

/* CURLOPT_WRITEFUNCTION; anything but n ends the transfer. */
static size_t take_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct request_handle *handle = ctx;
	size_t n_kept = n < HTTP_BODY_MAX - handle->n_body ? n : HTTP_BODY_MAX - handle->n_body;

	(void)size; /* is always 1 */
	handle->n_wire += n;
	if (handle->n_wire > FRAMING_REPLY_MAX || !body_reserve(handle, n_kept))
		return 0;
	memcpy(handle->body + handle->n_body, bytes, n_kept);
	handle->n_body += n_kept;
	handle->body[handle->n_body] = '\0';
	return n;
}

#ifdef ONEBEAT_CRASH_POINTS
/* CURLOPT_DEBUGFUNCTION: libcurl tells it what it has written, right after it. */
static int after_write(CURL *easy, curl_infotype type, char *bytes, size_t n, void *ctx)
{
	const bool is_delete = n > 0 && bytes[0] == 'D';

	(void)easy;
	(void)ctx;
	if (type == CURLINFO_HEADER_OUT)
		ONEBEAT_CRASH_POINT(is_delete ? "agent.delete.sent" : "agent.post.sent");
	return 0;
}
#endif

static bool add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer)
		*list = longer;
	return longer != NULL;
}

static bool add_token(struct curl_slist **list, const char *token)
{
	char line[sizeof("Authorization: Bearer ") + SECRET_MAX];
	bool added;

	snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
	added = add_line(list, line);
	explicit_bzero(line, sizeof(line));
	return added;
}

/* The header lines of a request with or without a body. NULL when memory is out. */
static struct curl_slist *make_headers(const char *token, const char *last)
{
	const char *const lines[] = {
		("User-Agent: " CURL_GLUE_AGENT),
		("Client-Version: " ONEBEAT_VERSION),
		"Accept: application/json, */*",
		last,
	};
	struct curl_slist *list = NULL;
	bool fine = !token || add_token(&list, token);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && fine; i++)
		fine = add_line(&list, lines[i]);
	if (fine)
		return list;
	curl_slist_free_all(list);
	return NULL;
}

/* Of an idle handle: what the next request is, but for its target. */
static void set_form(struct request_handle *handle, bool form)
{
	handle->form = form;
	curl_easy_setopt(handle->easy, CURLOPT_POSTFIELDS, (char *)NULL);
	curl_easy_setopt(handle->easy, form ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER,
			 form ? handle->form_headers : handle->headers);
}

/* The headers of an idle handle, with the token of the moment. 0 or -ENOMEM. */
static int set_headers(struct request_handle *handle)
{
	const struct https_link *link = handle->nodes->link;
	const char *token = https_token(link, handle->nodes->nodes[handle->node].base);
	struct curl_slist *headers = make_headers(token, "Content-Length: 0");
	struct curl_slist *form_headers = make_headers(token, "Content-Type: " NACOS_FORM_TYPE);

	if (!headers || !form_headers) {
		curl_slist_free_all(headers);
		curl_slist_free_all(form_headers);
		return -ENOMEM;
	}
	curl_slist_free_all(handle->headers);
	curl_slist_free_all(handle->form_headers);
	handle->headers = headers;
	handle->form_headers = form_headers;
	set_form(handle, handle->form);
	handle->generation = https_generation(link);
	return 0;
}

/* The target as far as its query, and the query as the body. False when memory is out. */
static bool set_target(struct request_handle *handle, const struct request *request)
{
	const char *target = request->target;
	const char *query = strchr(target, '?');
	bool form = request->method == HTTP_POST_FORM && query;
	char *path = NULL;
	bool fine;

	if (form != handle->form)
		set_form(handle, form);
	if (!form)
		return curl_easy_setopt(handle->easy, CURLOPT_REQUEST_TARGET, target) == CURLE_OK;
	path = strndup(target, (size_t)(query - target));
	fine = path && curl_easy_setopt(handle->easy, CURLOPT_REQUEST_TARGET, path) == CURLE_OK;
	free(path);
	/* Not copied: the request outlives its transfer. */
	curl_easy_setopt(handle->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(query + 1));
	curl_easy_setopt(handle->easy, CURLOPT_POSTFIELDS, query + 1);
	return fine;
}

int request_handle_init(struct request_handle *handle, struct curl_glue *glue,
			const struct http_nodes *nodes, uint32_t node)
{
	*handle = (struct request_handle){ .node = node, .nodes = nodes };
	handle->easy = https_easy(glue, nodes->link, nodes->nodes[node].base, handle->error,
				  &handle->route);
	if (!handle->easy || set_headers(handle) < 0)
		return -ENOMEM;
	curl_easy_setopt(handle->easy, CURLOPT_PRIVATE, handle);
	curl_easy_setopt(handle->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(handle->easy, CURLOPT_WRITEDATA, handle);
	curl_easy_setopt(handle->easy, CURLOPT_BUFFERSIZE, 4096L);
	curl_easy_setopt(handle->easy, CURLOPT_MAXAGE_CONN, MAX_IDLE_S);
#ifdef ONEBEAT_CRASH_POINTS
	curl_easy_setopt(handle->easy, CURLOPT_DEBUGFUNCTION, after_write);
	curl_easy_setopt(handle->easy, CURLOPT_VERBOSE, 1L);
#endif
	return 0;
}

void request_handle_deinit(struct request_handle *handle, struct curl_glue *glue)
{
	if (handle->request)
		curl_glue_stop(glue, handle->easy);
	request_queue_free(handle->request);
	curl_easy_cleanup(handle->easy);
	curl_slist_free_all(handle->headers);
	curl_slist_free_all(handle->form_headers);
	curl_slist_free_all(handle->route);
	free(handle->body);
	*handle = (struct request_handle){ 0 };
}

int request_handle_begin(struct request_handle *handle, struct curl_glue *glue,
			 struct request *request, uint32_t connect_ms, uint32_t total_ms)
{
	CURL *easy = handle->easy;

	assert(!handle->request);
	if (handle->generation != https_generation(handle->nodes->link) && set_headers(handle) < 0)
		return -ENOMEM;
	handle->n_body = 0;
	handle->n_wire = 0;
	handle->error[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)total_ms);
	if (curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method_names[request->method]) !=
		    CURLE_OK ||
	    !set_target(handle, request) || curl_glue_start(glue, easy) < 0)
		return -ENOMEM;
	handle->request = request;
	return 0;
}

struct request *request_handle_end(struct request_handle *handle, struct curl_glue *glue,
				   CURLcode code, struct request_handle_result *out)
{
	struct request *request = handle->request;
	long status = 0;
	long n_sent = 0;

	assert(request);
	curl_easy_getinfo(handle->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(handle->easy, CURLINFO_REQUEST_SIZE, &n_sent);
	*out = (struct request_handle_result){
		.status = code == CURLE_OK ? (int)status : 0,
		.body = handle->n_body > 0 ? handle->body : "",
		.n_body = handle->n_body,
		.why = "",
		.sent = n_sent > 0,
	};
	if (code != CURLE_OK)
		out->why = handle->error[0] ? handle->error : curl_easy_strerror(code);
	curl_glue_stop(glue, handle->easy);
	handle->request = NULL;
	return request;
}

struct request_handle *request_handle_of(CURL *easy)
{
	struct request_handle *handle = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &handle);
	assert(handle);
	return handle;
}
