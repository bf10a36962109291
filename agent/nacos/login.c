/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in
 *
 * User and password go into the body, so that no access log has them: login is not below /v1/ns/,
 * where 1.4.4 to 1.4.8 lose bodies. v3's path exists since 3.0; older servers answer 404 there, a
 * 3.x with v1 switched off 410 at the other, and then the other path is the one to try.
 *
 * Only a token counts as success. A server whose auth system is another's answers 200 with a result
 * and no accessToken, and whatever else calls itself 200 without one (a proxy's page) has logged
 * nobody in. The status of a failure says little: a wrong password is 403 on 1.4 and 2.5, an unknown
 * user 500 on 2.5, and on 3.0 either is 500 by the one path or the other. So 500 is no proof of a
 * broken node, and no proof of a wrong password; who asks has to try each node once, and then to be
 * as slow as after a 403.
 *
 * The token goes into a header line. It is taken only if it can stand there: visible ASCII, and not
 * longer than a head may reasonably be. Text for people never
 * quotes what may be a token: of a 200 no more than a page's title or an object's message.
 */
#include "nacos/login.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "nacos/body.h"
#include "nacos/encode.h"
#include "nacos/json.h"

#define PATH_V1 "/v1/auth/users/login"
#define PATH_V3 "/v3/auth/user/login"

#define CODE_ACCESS_DENIED 10001

size_t login_path(const struct nacos_api *api, char *buf, size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, size);
	encode_plain(&e, api->context);
	encode_plain(&e, api->version == NACOS_V3 ? PATH_V3 : PATH_V1);
	return encode_end(&e);
}

size_t login_body(const char *user, const char *password, char *buf, size_t size)
{
	struct encode e;
	size_t n;

	encode_init(&e, ENCODE_FORM, buf, size);
	encode_plain(&e, "username=");
	encode_text(&e, user);
	encode_plain(&e, "&password=");
	encode_text(&e, password);
	n = encode_end(&e);
	if (n == 0 && size > 0)
		explicit_bzero(buf, size); /* half a password is one too */
	return n;
}

static bool is_header_value(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] <= 0x20 || text[i] >= 0x7f)
			return false;
	}
	return n > 0;
}

static void take_ttl(const struct body *body, struct login_outcome *out)
{
	const struct json_value *value = json_object_find(&body->object, "tokenTtl");
	long long ttl_s;

	if (!value || !json_value_integer(value, &ttl_s))
		return;
	/* What is left of a cached token may be nothing; that is not the same as not said. */
	out->ttl_s = ttl_s < 1 ? 1 : ttl_s > INT32_MAX ? INT32_MAX : (uint32_t)ttl_s;
}

static void refuse_token(struct login_outcome *out, const char *why)
{
	login_outcome_wipe(out);
	out->verdict = LOGIN_FAILED;
	snprintf(out->text, sizeof(out->text), "accessToken %s", why);
}

static void take_token(const struct body *body, const struct json_value *value,
		       struct login_outcome *out)
{
	size_t n = 0;

	if (value->type == JSON_STRING)
		n = json_value_text(value, out->token, sizeof(out->token));
	if (n > LOGIN_TOKEN_MAX) {
		refuse_token(out, "is longer than 4095 bytes");
		return;
	}
	if (!is_header_value(out->token, n)) {
		refuse_token(out, "is no text that a header may carry");
		return;
	}
	out->token[n] = '\0';
	out->n_token = n;
	take_ttl(body, out);
}

/* A 200 without a token. */
static void judge_tokenless(const struct body *body, struct login_outcome *out)
{
	long long code;

	out->verdict = LOGIN_FAILED;
	if (!body->is_object) {
		if (body_first(body) == '<')
			body_nonsense_line(body, out->text, sizeof(out->text));
		else
			snprintf(out->text, sizeof(out->text),
				 "not a Nacos reply: %zu bytes that are no object", body->n);
		return;
	}
	if (body_code(body, &code) && code > 0 && code < 1000000)
		out->code = (int)code;
	if (out->code == 200 || out->code == 401 || out->code == 403 ||
	    out->code == CODE_ACCESS_DENIED)
		out->verdict = LOGIN_DENIED;
	if (body_member_line(&body->object, "message", out->text, sizeof(out->text)) == 0)
		snprintf(out->text, sizeof(out->text), "a reply without accessToken");
}

static enum login_verdict judge_status(int status)
{
	switch (status) {
	case 200:
		return LOGIN_OK;
	case 401:
	case 403:
		return LOGIN_DENIED;
	case 404:
	case 410:
	case 501:
		return LOGIN_NO_API;
	default:
		return LOGIN_FAILED;
	}
}

void login_judge(int status, const char *body, size_t n_body, struct login_outcome *out)
{
	const struct json_value *token;
	struct body b;

	body_read(&b, body, n_body);
	*out = (struct login_outcome){ .verdict = judge_status(status), .code = status };
	if (out->verdict != LOGIN_OK) {
		body_status_line(&b, status, out->text, sizeof(out->text));
		return;
	}
	token = json_object_find(&b.object, "accessToken");
	if (token)
		take_token(&b, token, out);
	else
		judge_tokenless(&b, out);
}

void login_outcome_wipe(struct login_outcome *out)
{
	explicit_bzero(out->token, sizeof(out->token));
	out->n_token = 0;
	out->ttl_s = 0;
}
