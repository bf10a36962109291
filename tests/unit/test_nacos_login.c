/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in: what is sent, and what the answers mean
 *
 * The vectors are what official 1.4.8, 2.5.1 and 3.0.3 servers answered; the rest is what servers with
 * another auth system, proxies and broken ones may send.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacos/login.h"

struct vector {
	const char *name;
	int status;
	const char *body;
	enum login_verdict verdict;
	int code;
	uint32_t ttl_s;
	const char *token;
	const char *text;
};

#define SPRING(status, error, message)                                         \
	"{\"timestamp\":\"2026-11-23T07:51:54.459+00:00\",\"status\":" #status \
	",\"error\":\"" error "\",\"message\":\"" message                      \
	"\",\"path\":\"/nacos/v3/auth/user/login\"}"

static const struct vector vectors[] = {
	{ "1.4.8", 200,
	  "{\"accessToken\":\"eyJh.eyJz.eeB3-Go_E\",\"tokenTtl\":18000,\"globalAdmin\":true,\"username\":\"nacos\"}",
	  LOGIN_OK, 200, 18000, "eyJh.eyJz.eeB3-Go_E", "" },
	{ "2.5.1, a cached token", 200,
	  "{\"accessToken\":\"eyJh.eyJz.pGZTt\",\"tokenTtl\":17999,\"globalAdmin\":false,\"username\":\"u\"}",
	  LOGIN_OK, 200, 17999, "eyJh.eyJz.pGZTt", "" },
	{ "1.4.8, wrong password", 403, "unknown user!", LOGIN_DENIED, 403, 0, "",
	  "unknown user!" },
	{ "2.5.1, wrong password", 403, "user not found!", LOGIN_DENIED, 403, 0, "",
	  "user not found!" },
	{ "2.5.1, unknown user", 500, "caused: User nobody not found;", LOGIN_FAILED, 500, 0, "",
	  "caused: User nobody not found;" },
	{ "3.0.3 by v1, wrong password", 500,
	  SPRING(500, "Internal Server Error",
		 "Handle API Compatibility failed, please see log for detail."),
	  LOGIN_FAILED, 500, 0, "", "Handle API Compatibility failed, please see log for detail." },
	{ "3.0.3 by v3, wrong password", 500,
	  SPRING(500, "Internal Server Error", "No message available"), LOGIN_FAILED, 500, 0, "",
	  "Internal Server Error" },
	{ "3.0.3 by v3, unknown user", 403, SPRING(403, "Forbidden", "Access Denied"), LOGIN_DENIED,
	  403, 0, "", "Access Denied" },
	{ "1.4.8 by v3", 404, SPRING(404, "Not Found", "No message available"), LOGIN_NO_API, 404,
	  0, "", "Not Found" },
	{ "3.x without v1", 410,
	  SPRING(410, "Gone", "{\\\"code\\\":40000,\\\"message\\\":\\\"use v3\\\"}"), LOGIN_NO_API,
	  410, 0, "", "use v3" },
	{ "not there", 501, "", LOGIN_NO_API, 501, 0, "", "HTTP 501 without a reason" },
	{ "another auth system, refused", 200, "{\"code\":401,\"data\":\"Login failed\"}",
	  LOGIN_DENIED, 401, 0, "", "a reply without accessToken" },
	{ "another auth system, granted: a login that is of no use", 200,
	  "{\"code\":200,\"data\":\"Bearer secret\"}", LOGIN_DENIED, 200, 0, "",
	  "a reply without accessToken" },
	{ "a result with a message", 200,
	  "{\"code\":30000,\"message\":\"server error\",\"data\":\"x\"}", LOGIN_FAILED, 30000, 0,
	  "", "server error" },
	{ "a proxy's page", 200, "<html><title>Sign in</title></html>", LOGIN_FAILED, 200, 0, "",
	  "not a Nacos reply: Sign in" },
	{ "nothing", 200, "", LOGIN_FAILED, 200, 0, "",
	  "not a Nacos reply: 0 bytes that are no object" },
	{ "cut: the token is not shown", 200, "{\"accessToken\":\"secret", LOGIN_FAILED, 200, 0, "",
	  "not a Nacos reply: 22 bytes that are no object" },
	{ "empty token", 200, "{\"accessToken\":\"\",\"tokenTtl\":18000}", LOGIN_FAILED, 200, 0, "",
	  "accessToken is no text that a header may carry" },
	{ "no text", 200, "{\"accessToken\":null,\"tokenTtl\":18000}", LOGIN_FAILED, 200, 0, "",
	  "accessToken is no text that a header may carry" },
	{ "a header line smuggled in", 200, "{\"accessToken\":\"a\\r\\nX: y\",\"tokenTtl\":18000}",
	  LOGIN_FAILED, 200, 0, "", "accessToken is no text that a header may carry" },
	{ "a NUL smuggled in", 200, "{\"accessToken\":\"a\\u0000b\"}", LOGIN_FAILED, 200, 0, "",
	  "accessToken is no text that a header may carry" },
	{ "no ttl", 200, "{\"accessToken\":\"t\"}", LOGIN_OK, 200, 0, "t", "" },
	{ "ttl no number", 200, "{\"accessToken\":\"t\",\"tokenTtl\":\"18000\"}", LOGIN_OK, 200, 0,
	  "t", "" },
	{ "nothing left of the ttl", 200, "{\"accessToken\":\"t\",\"tokenTtl\":0}", LOGIN_OK, 200,
	  1, "t", "" },
	{ "ttl negative", 200, "{\"accessToken\":\"t\",\"tokenTtl\":-5}", LOGIN_OK, 200, 1, "t",
	  "" },
	{ "ttl out of all reason", 200, "{\"accessToken\":\"t\",\"tokenTtl\":99999999999}",
	  LOGIN_OK, 200, INT32_MAX, "t", "" },
	{ "starting up", 503, "server is STARTINGnow", LOGIN_FAILED, 503, 0, "",
	  "server is STARTINGnow" },
	{ "a redirect", 302, "", LOGIN_FAILED, 302, 0, "", "HTTP 302 without a reason" },
};

#define N_VECTORS (sizeof(vectors) / sizeof(vectors[0]))

/* From a heap copy of exactly its size, so that a sanitizer sees one byte read too many. */
static struct login_outcome *judge(int status, const char *body, size_t n)
{
	static struct login_outcome out;
	char *copy = malloc(n > 0 ? n : 1);

	cr_assert(copy);
	memset(&out, 0x5a, sizeof(out));
	memcpy(copy, body, n);
	login_judge(status, copy, n, &out);
	free(copy);
	return &out;
}

Test(nacos_login, vectors)
{
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct vector *v = &vectors[i];
		const struct login_outcome *out = judge(v->status, v->body, strlen(v->body));

		cr_expect_eq(out->verdict, v->verdict, "%s: verdict %d", v->name,
			     (int)out->verdict);
		cr_expect_eq(out->code, v->code, "%s: code %d", v->name, out->code);
		cr_expect_eq(out->ttl_s, v->ttl_s, "%s: ttl %u", v->name, out->ttl_s);
		cr_expect_str_eq(out->token, v->token, "%s: token '%s'", v->name, out->token);
		cr_expect_eq(out->n_token, strlen(v->token), "%s", v->name);
		cr_expect_str_eq(out->text, v->text, "%s: text '%s'", v->name, out->text);
	}
}

/* Cut anywhere, nobody is logged in, and nothing of the token is shown. */
Test(nacos_login, cut_replies_log_nobody_in)
{
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct vector *v = &vectors[i];

		for (size_t n = 0; n < strlen(v->body); n++) {
			const struct login_outcome *out = judge(v->status, v->body, n);

			cr_assert_neq(out->verdict, LOGIN_OK, "%s cut at %zu", v->name, n);
			cr_assert_eq(out->n_token, 0, "%s cut at %zu", v->name, n);
			cr_assert(out->text[0], "%s cut at %zu", v->name, n);
			cr_assert_not(strstr(out->text, "eyJ") || strstr(out->text, "secret"),
				      "%s cut at %zu: %s", v->name, n, out->text);
		}
	}
}

Test(nacos_login, longest_token)
{
	static char body[LOGIN_TOKEN_MAX + 64];

	for (size_t n = LOGIN_TOKEN_MAX - 1; n <= LOGIN_TOKEN_MAX + 2; n++) {
		const struct login_outcome *out;
		size_t at = (size_t)snprintf(body, sizeof(body), "{\"accessToken\":\"");

		memset(body + at, 'a', n);
		snprintf(body + at + n, sizeof(body) - at - n, "\"}");
		out = judge(200, body, strlen(body));
		if (n <= LOGIN_TOKEN_MAX) {
			cr_expect_eq(out->verdict, LOGIN_OK, "%zu", n);
			cr_expect_eq(out->n_token, n);
		} else {
			cr_expect_eq(out->verdict, LOGIN_FAILED, "%zu", n);
			cr_expect_str_eq(out->text, "accessToken is longer than 4095 bytes");
			cr_expect_eq(out->token[0], '\0');
		}
	}
}

Test(nacos_login, wiped_outcomes_hold_no_token)
{
	struct login_outcome *out = judge(200, vectors[0].body, strlen(vectors[0].body));

	login_outcome_wipe(out);
	login_outcome_wipe(out);
	for (size_t i = 0; i < sizeof(out->token); i++)
		cr_assert_eq(out->token[i], 0);
	cr_expect_eq(out->n_token, 0);
}

Test(nacos_login, request_is_a_form)
{
	static const struct nacos_api v1 = { NACOS_V1, "/nacos" };
	static const struct nacos_api v3 = { NACOS_V3, "" };
	char buf[128];

	cr_expect_eq(login_path(&v1, buf, sizeof(buf)), strlen("/nacos/v1/auth/users/login"));
	cr_expect_str_eq(buf, "/nacos/v1/auth/users/login");
	cr_expect_gt(login_path(&v3, buf, sizeof(buf)), 0);
	cr_expect_str_eq(buf, "/v3/auth/user/login");
	cr_expect_gt(login_body("nacos", "p&w=d %+\u00e4", buf, sizeof(buf)), 0);
	cr_expect_str_eq(buf, "username=nacos&password=p%26w%3Dd+%25%2B%C3%A4");
}

/* A buffer that is too small is left without a part of the password. */
Test(nacos_login, small_buffers_hold_nothing)
{
	char whole[64];
	size_t n = login_body("user", "password", whole, sizeof(whole));

	for (size_t size = 1; size <= n; size++) {
		char *buf = malloc(size);

		cr_assert(buf);
		cr_expect_eq(login_body("user", "password", buf, size), 0);
		for (size_t i = 0; i < size; i++)
			cr_expect_eq(buf[i], 0);
		free(buf);
	}
	cr_expect_eq(login_body("user", "password", whole, n + 1), n);
}
