/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login and tokens
 *
 * A token says until when it holds and is signed with a secret, so nothing is kept of it: it dies
 * with its time or with the secret. It looks like the JWT of an official server and is nothing of
 * the kind: the signature is a plain keyed hash, good enough to tell own from foreign in a test and
 * for nothing else. Its time runs with the wall, whatever the time scale, since clients measure
 * tokenTtl with their own clock.
 *
 * How a refusal sounds differs between versions even where the cause is the same. A failed login of
 * 3 through the v1 path is a 500, because its forwarding filter stumbles over the exception.
 */
#include "auth.h"

#include "api.h"
#include "mode.h"
#include "respond.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HEADER "eyJhbGciOiJIUzI1NiJ9"

void auth_rotate(struct auth *a)
{
	uint64_t old = a->secret;

	if (getrandom(&a->secret, sizeof(a->secret), GRND_NONBLOCK) != sizeof(a->secret) ||
	    a->secret == old)
		a->secret = old * 6364136223846793005u + 1442695040888963407u;
}

/* Where nothing is secured the user of a fresh installation still logs in. */
void auth_init(struct auth *a)
{
	*a = (struct auth){ .user = "nacos", .password = "nacos", .ttl_s = 18000 };
	auth_rotate(a);
}

/* Takes "LEFT:RIGHT" apart at the first colon. */
static bool split(const char *text, char *left, char *right)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!n || n >= AUTH_NAME_MAX || !colon[1] || strlen(colon + 1) >= AUTH_NAME_MAX)
		return false;
	memcpy(left, text, n);
	left[n] = '\0';
	memcpy(right, colon + 1, strlen(colon + 1) + 1);
	return true;
}

bool auth_set_user(struct auth *a, const char *text)
{
	if (!split(text, a->user, a->password))
		return false;
	a->on = true;
	return true;
}

bool auth_set_identity(struct auth *a, const char *text)
{
	return split(text, a->identity_name, a->identity_value);
}

bool auth_set_ttl(struct auth *a, const char *seconds)
{
	size_t n = strlen(seconds);
	unsigned long ttl_s = strtoul(seconds, NULL, 10);

	if (!n || n > 9 || strspn(seconds, "0123456789") != n || ttl_s < 1 ||
	    ttl_s > AUTH_TTL_MAX_S)
		return false;
	a->ttl_s = (uint32_t)ttl_s;
	return true;
}

void auth_set_off(struct auth *a)
{
	a->on = false;
}

static uint64_t sign(const struct auth *a, const char *payload)
{
	uint64_t hash = 14695981039346656037u ^ a->secret;

	for (; *payload; payload++)
		hash = (hash ^ (unsigned char)*payload) * 1099511628211u;
	hash ^= a->secret >> 7;
	return hash * 1099511628211u;
}

/* Tokens hold until a time of the store's clock, which runs time_scale times faster. */
static void make_token(const struct api *api, uint64_t until_ms, char *text, size_t size)
{
	char payload[32];

	snprintf(payload, sizeof(payload), "%016" PRIx64, until_ms);
	snprintf(text, size, HEADER ".%s.%016" PRIx64, payload, sign(api->auth, payload));
}

enum token {
	TOKEN_ABSENT,
	TOKEN_GARBAGE,
	TOKEN_FORGED,
	TOKEN_EXPIRED,
	TOKEN_GOOD,
};

/* The token that a request carries; NULL: none. Bare in Authorization it is not seen. */
static const char *find_token(const struct api *api, const struct api_request *req)
{
	static const char bearer[] = "Bearer ";
	const char *text = req->authorization;

	if (text && strncmp(text, bearer, strlen(bearer)) == 0)
		return text + strlen(bearer);
	if (req->access_token && api->mode->token_header)
		return req->access_token;
	return formdata_get(&req->params, "accessToken");
}

static enum token judge(const struct api *api, const char *token, uint64_t now_ms,
			uint64_t *until_ms)
{
	char expected[96], digits[17];
	size_t n_header = strlen(HEADER ".");

	if (!token || !*token)
		return TOKEN_ABSENT;
	make_token(api, 0, expected, sizeof(expected));
	if (strlen(token) != strlen(expected) || strncmp(token, HEADER ".", n_header) != 0 ||
	    strspn(token + n_header, "0123456789abcdef") != 16)
		return TOKEN_GARBAGE;
	memcpy(digits, token + n_header, 16);
	digits[16] = '\0';
	*until_ms = strtoull(digits, NULL, 16);
	make_token(api, *until_ms, expected, sizeof(expected));
	if (strcmp(token, expected) != 0)
		return TOKEN_FORGED;
	return now_ms < *until_ms ? TOKEN_GOOD : TOKEN_EXPIRED;
}

static const char *complaint(const struct mode *mode, enum token what)
{
	switch (what) {
	case TOKEN_ABSENT:
		return mode->no_user;
	case TOKEN_EXPIRED:
		return "token expired!";
	case TOKEN_FORGED:
		return mode->names_signature ? "Invalid signature" : "token invalid!";
	case TOKEN_GARBAGE:
	case TOKEN_GOOD:
		break;
	}
	return "token invalid!";
}

bool auth_admits(const struct api *api, const struct api_request *req, struct api_reply *out)
{
	const struct auth *a = api->auth;
	uint64_t until_ms;
	enum token what;

	if (!a->on ||
	    (a->identity_name[0] && req->identity && strcmp(req->identity, a->identity_value) == 0))
		return true;
	what = judge(api, find_token(api, req), req->now_ms, &until_ms);
	if (what == TOKEN_GOOD)
		return true;
	respond_error_page(req, out, MHD_HTTP_FORBIDDEN,
			   api->mode->bit & MODE_V3 ? "Code: 401, Message: %s." : "%s",
			   complaint(api->mode, what));
	return false;
}

static void refuse_login(const struct api *api, const struct api_request *req, const char *user,
			 struct api_reply *out)
{
	bool is_known = strcmp(user, api->auth->user) == 0;

	if (api->mode->bit & MODE_V3) {
		if (strncmp(req->path, "/nacos/v1/", strlen("/nacos/v1/")) == 0)
			respond_error_page(req, out, MHD_HTTP_INTERNAL_SERVER_ERROR,
					   "Handle API Compatibility failed, please see log for "
					   "detail.");
		else if (is_known)
			respond_error_page(req, out, MHD_HTTP_INTERNAL_SERVER_ERROR,
					   "No message available");
		else
			respond_error_page(req, out, MHD_HTTP_FORBIDDEN, "Access Denied");
		return;
	}
	respond_text(out, "");
	out->status = MHD_HTTP_FORBIDDEN;
	if (api->mode->bit & MODE_2 && !is_known) {
		out->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		sbuf_fmt(&out->body, "caused: User %s not found;", user);
	} else {
		sbuf_add(&out->body, api->mode->no_user);
	}
}

/* A caller who shows a good token gets it back, on newer servers with the time that it has left. */
static uint64_t login_until(const struct api *api, const struct api_request *req)
{
	uint64_t until_ms, ttl_ms = (uint64_t)(api->auth->ttl_s * 1000.0 * api->time_scale);

	if (judge(api, find_token(api, req), req->now_ms, &until_ms) == TOKEN_GOOD)
		return until_ms;
	return req->now_ms + ttl_ms;
}

void auth_login(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *user = formdata_or(&req->params, "username", "");
	const char *password = formdata_or(&req->params, "password", "");
	const struct auth *a = api->auth;
	uint64_t until_ms, left_s = a->ttl_s;
	char token[96];

	if (strcmp(user, a->user) != 0 || strcmp(password, a->password) != 0) {
		refuse_login(api, req, user, out);
		return;
	}
	until_ms = login_until(api, req);
	if (!(api->mode->bit & MODE_14))
		left_s = (uint64_t)((double)(until_ms - req->now_ms) / api->time_scale / 1000.0);
	make_token(api, until_ms, token, sizeof(token));
	snprintf(out->authorization, sizeof(out->authorization), "Bearer %s", token);
	respond_json(out);
	sbuf_fmt(&out->body,
		 "{\"accessToken\":\"%s\",\"tokenTtl\":%" PRIu64 ",\"globalAdmin\":true,"
		 "\"username\":",
		 token, left_s);
	sbuf_json(&out->body, user);
	sbuf_add(&out->body, "}");
}
