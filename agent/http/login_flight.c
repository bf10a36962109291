/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A login on its way
 *
 * Nodes are asked in turn until one grants a token, each once: a server's refusal may be its own
 * trouble (a user list that is cached, a 500 for an unknown user), so it does not end the round, but
 * a refusal outweighs the silence of others. A node that does not know the path of one API is asked
 * by the other's at once.
 *
 * It has connections of its own, made for each login and closed after it: the lanes' are held back
 * while it is under way, and one login an hour is not worth a kept connection. A node that could be
 * told the password only in clear, without leave, is passed over. Such a list of nodes can come from
 * an address server, where no check of the configuration sees it.
 *
 * The body with the password is in a secret's memory, libcurl reads it from there, and both wipe
 * what they had. Redirects are not followed: they would carry the password to wherever a reply says.
 */
#include "http/login_flight.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/curl_glue.h"
#include "http/https.h"
#include "http/plaintext.h"
#include "nacos/login.h"

#define REPLY_MAX 16384u
#define PATH_SIZE 256u

struct login_flight {
	struct http_nodes *nodes;
	login_done_fn done;
	void *ctx;
	struct curl_glue glue;
	struct curl_slist *headers;
	/* The login under way. */
	CURL *easy;
	struct curl_slist *route;
	char error[CURL_ERROR_SIZE];
	struct secret body;
	struct nacos_api api;
	struct http_round round;
	uint32_t node;
	bool other_api; /* this node was asked by both paths */
	uint32_t connect_ms;
	uint32_t total_ms;
	enum session_end end; /* so far */
	uint32_t refused_by;
	int code;
	char why[CURL_ERROR_SIZE];
	char reply[REPLY_MAX];
	size_t n_reply;
};

static void on_end(void *ctx, CURL *easy, CURLcode code);
static int headers_init(struct login_flight *flight)
{
	static const char *const lines[] = {
		("User-Agent: " CURL_GLUE_AGENT),
		("Client-Version: " ONEBEAT_VERSION),
		"Accept: application/json, */*",
		"Content-Type: application/x-www-form-urlencoded;charset=UTF-8",
		"Expect:",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct curl_slist *longer = curl_slist_append(flight->headers, lines[i]);

		if (!longer)
			return -ENOMEM;
		flight->headers = longer;
	}
	return 0;
}

int login_flight_new(struct login_flight **out, struct loop *loop, struct http_nodes *nodes,
		     login_done_fn done, void *ctx)
{
	struct login_flight *flight = calloc(1, sizeof(*flight));
	int r;

	*out = NULL;
	if (!flight)
		return -ENOMEM;
	flight->nodes = nodes;
	flight->done = done;
	flight->ctx = ctx;
	r = curl_glue_init(&flight->glue, loop, on_end, flight);
	if (r == 0)
		r = headers_init(flight);
	if (r < 0) {
		login_flight_free(flight);
		return r;
	}
	*out = flight;
	return 0;
}

/* The transfer and its reply are no more. */
static void end_transfer(struct login_flight *flight)
{
	if (flight->easy) {
		curl_glue_stop(&flight->glue, flight->easy);
		curl_easy_cleanup(flight->easy);
	}
	flight->easy = NULL;
	curl_slist_free_all(flight->route);
	flight->route = NULL;
	explicit_bzero(flight->reply, flight->n_reply);
	flight->n_reply = 0;
}

void login_flight_drop(struct login_flight *flight)
{
	end_transfer(flight);
	secret_wipe(&flight->body);
}

struct login_flight *login_flight_free(struct login_flight *flight)
{
	if (!flight)
		return NULL;
	login_flight_drop(flight);
	curl_glue_deinit(&flight->glue);
	curl_slist_free_all(flight->headers);
	free(flight);
	return NULL;
}

/* CURLOPT_WRITEFUNCTION; what does not fit is no login's reply. */
static size_t take_reply(char *bytes, size_t size, size_t n, void *ctx)
{
	struct login_flight *flight = ctx;

	(void)size; /* is always 1 */
	if (n > sizeof(flight->reply) - flight->n_reply)
		return 0;
	memcpy(flight->reply + flight->n_reply, bytes, n);
	flight->n_reply += n;
	return n;
}

static int begin_transfer(struct login_flight *flight)
{
	char path[PATH_SIZE];
	CURL *easy;

	if (login_path(&flight->api, path, sizeof(path)) == 0)
		return -ENOBUFS;
	easy = https_easy(&flight->glue, flight->nodes->link,
			  flight->nodes->nodes[flight->node].base, flight->error, &flight->route);
	if (!easy)
		return -ENOMEM;
	flight->easy = easy;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, flight->headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, secret_text(&flight->body));
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)flight->body.n);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_reply);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, flight);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)flight->connect_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)flight->total_ms);
	if (curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, path) != CURLE_OK)
		return -ENOMEM;
	return curl_glue_start(&flight->glue, easy);
}

static void finish(struct login_flight *flight, const struct login_outcome *granted)
{
	struct login_result result = {
		.end = granted ? SESSION_GRANTED : flight->end,
		.node = http_nodes_name(flight->nodes, granted || flight->end == SESSION_UNREACHED
							       ? flight->node
							       : flight->refused_by),
		.code = granted ? 200 : flight->code,
		.why = granted ? "" : flight->why,
	};

	if (granted) {
		result.token = granted->token;
		result.n_token = granted->n_token;
		result.ttl_s = granted->ttl_s;
	}
	login_flight_drop(flight);
	flight->done(flight->ctx, &result);
}

static void note_refusal(struct login_flight *flight, const struct login_outcome *o)
{
	flight->end = SESSION_REFUSED;
	flight->refused_by = flight->node;
	flight->code = o->code;
	snprintf(flight->why, sizeof(flight->why), "%s", o->text);
}

static void note_silence(struct login_flight *flight, const char *why)
{
	if (flight->end != SESSION_REFUSED)
		snprintf(flight->why, sizeof(flight->why), "%s", why);
}

/* Asks this node. False: that cannot even be begun. */
static bool ask(struct login_flight *flight)
{
	const char *base = flight->nodes->nodes[flight->node].base;
	const struct https_link *link = flight->nodes->link;

	if (!base || ((!link || !link->allow_plaintext) && plaintext_exposes(base))) {
		note_silence(flight, base ? "the password would go to it in clear: "
					    "allow_plaintext_password is no"
					  : "no server is known");
		return false;
	}
	if (begin_transfer(flight) == 0)
		return true;
	end_transfer(flight);
	note_silence(flight, "out of memory");
	return false;
}

static bool next_node(struct login_flight *flight)
{
	flight->other_api = false;
	return http_nodes_next(flight->nodes, &flight->round, CLOCK_NEVER, &flight->node);
}

static void go_on(struct login_flight *flight)
{
	while (next_node(flight)) {
		http_round_add(&flight->round, flight->node);
		if (ask(flight))
			return;
	}
	finish(flight, NULL);
}

/* True when the same node is being asked by the other path. */
static bool ask_other_api(struct login_flight *flight)
{
	if (flight->other_api)
		return false;
	flight->other_api = true;
	flight->api.version = flight->api.version == NACOS_V3 ? NACOS_V1 : NACOS_V3;
	return ask(flight);
}

static void answered(struct login_flight *flight, int status)
{
	struct login_outcome o;

	login_judge(status, flight->reply, flight->n_reply, &o);
	end_transfer(flight);
	if (o.verdict == LOGIN_OK) {
		finish(flight, &o);
	} else if (o.verdict != LOGIN_NO_API || !ask_other_api(flight)) {
		note_refusal(flight, &o);
		go_on(flight);
	}
	login_outcome_wipe(&o);
}

static void on_end(void *ctx, CURL *easy, CURLcode code)
{
	struct login_flight *flight = ctx;
	long status = 0;

	assert(easy == flight->easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK) {
		answered(flight, (int)status);
		return;
	}
	note_silence(flight, flight->error[0] ? flight->error : curl_easy_strerror(code));
	end_transfer(flight);
	go_on(flight);
}

/* The form, in memory that is wiped. */
static int render_body(struct login_flight *flight, const struct login_request *request)
{
	char body[SECRET_MAX];
	size_t n = login_body(request->username, secret_text(request->password), body,
			      sizeof(body));
	int r = n > 0 ? secret_set(&flight->body, body, n) : -ENOBUFS;

	explicit_bzero(body, sizeof(body));
	return r;
}

int login_flight_begin(struct login_flight *flight, const struct login_request *request)
{
	int r = render_body(flight, request);

	assert(!flight->easy);
	if (r < 0)
		return r;
	flight->api = *request->api;
	flight->connect_ms = request->connect_ms;
	flight->total_ms = request->total_ms;
	flight->round = (struct http_round){ 0 };
	flight->end = SESSION_UNREACHED;
	flight->code = 0;
	flight->other_api = false;
	snprintf(flight->why, sizeof(flight->why), "no server is known");
	flight->node = http_nodes_start(flight->nodes);
	http_round_add(&flight->round, flight->node);
	if (!ask(flight))
		go_on(flight);
	return 0;
}

void login_flight_tick(struct login_flight *flight, uint64_t now_ms)
{
	curl_glue_tick(&flight->glue, now_ms);
}

uint64_t login_flight_due_ms(const struct login_flight *flight)
{
	return curl_glue_due_ms(&flight->glue);
}
