/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What replies mean to one who speaks v3
 *
 * Most vectors are what a 3.0.3 server answered, and what 1.4.8 and 2.5.1 answer to one who takes them
 * for a 3.x server; the rest is what lies between.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacos/reply.h"

struct vector {
	const char *name;
	enum nacos_call call;
	int status;
	const char *body;
	enum nacos_verdict verdict;
	int code;
	const char *text;
};

#define OK "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}"
#define NOT_FOUND "{\"code\":21003,\"message\":\"instance not found\",\"data\":null}"
#define UNKNOWN "the registry does not know this instance"
#define SPRING(status, error, message)                                         \
	"{\"timestamp\":\"2026-11-23T07:50:28.668+00:00\",\"status\":" #status \
	",\"error\":\"" error "\",\"message\":\"" message                      \
	"\",\"path\":\"/nacos/v3/client/ns/instance\"}"

static const struct vector vectors[] = {
	{ "register", NACOS_REGISTER, 200, OK, NACOS_OK, 200, "" },
	{ "renew", NACOS_BEAT, 200, OK, NACOS_OK, 200, "" },
	{ "deregister", NACOS_DEREGISTER, 200, OK, NACOS_OK, 200, "" },
	{ "renew, unknown", NACOS_BEAT, 200, NOT_FOUND, NACOS_UNKNOWN, 21003, UNKNOWN },
	{ "renew, service unknown", NACOS_BEAT, 200, "{\"code\":21008}", NACOS_UNKNOWN, 21008,
	  UNKNOWN },
	{ "renew, unknown, by a later server's status", NACOS_BEAT, 404, NOT_FOUND, NACOS_UNKNOWN,
	  21003, UNKNOWN },
	{ "renew, unknown, by 400", NACOS_BEAT, 400, NOT_FOUND, NACOS_UNKNOWN, 21003, UNKNOWN },
	{ "deregister, already gone", NACOS_DEREGISTER, 200, NOT_FOUND, NACOS_OK, 200, "" },
	{ "register, not found makes no sense", NACOS_REGISTER, 200, NOT_FOUND, NACOS_FAILED, 21003,
	  "instance not found" },
	{ "register, weight", NACOS_REGISTER, 400,
	  "{\"code\":21001,\"message\":\"weight error\",\"data\":\"instance format invalid: The weights range from "
	  "0.0 to 10000.0\"}",
	  NACOS_REFUSED, 400,
	  "weight error: instance format invalid: The weights range from 0.0 to 10000.0" },
	{ "register, parameter missing, in a 200", NACOS_REGISTER, 200,
	  "{\"code\":10000,\"message\":\"parameter missing\",\"data\":\"Required parameter 'ip' type String is not "
	  "present\"}",
	  NACOS_REFUSED, 10000,
	  "parameter missing: Required parameter 'ip' type String is not present" },
	{ "register, metadata too long", NACOS_REGISTER, 400,
	  "Param 'Metadata' is illegal, the param length should not exceed 1024.\r\n",
	  NACOS_REFUSED, 400,
	  "Param 'Metadata' is illegal, the param length should not exceed 1024." },
	{ "register, server error", NACOS_REGISTER, 500,
	  "{\"code\":30000,\"message\":\"Validation failed\",\"data\":null}", NACOS_FAILED, 500,
	  "Validation failed" },
	{ "readiness's 30000, in a 200", NACOS_BEAT, 200,
	  "{\"code\":30000,\"message\":\"server error\",\"data\":\"naming\"}", NACOS_FAILED, 30000,
	  "server error: naming" },
	{ "denied, in a 200", NACOS_BEAT, 200, "{\"code\":10001,\"message\":\"access denied\"}",
	  NACOS_DENIED, 10001, "access denied" },
	{ "denied", NACOS_REGISTER, 403,
	  SPRING(403, "Forbidden", "Code: 401, Message: token invalid!."), NACOS_DENIED, 403,
	  "Code: 401, Message: token invalid!." },
	{ "an older server: back to v1", NACOS_REGISTER, 404,
	  SPRING(404, "Not Found", "No message available"), NACOS_NO_API, 404, "Not Found" },
	{ "an older server, renew", NACOS_BEAT, 404,
	  SPRING(404, "Not Found", "No message available"), NACOS_NO_API, 404, "Not Found" },
	{ "an older server, without a word", NACOS_BEAT, 404, "", NACOS_NO_API, 404,
	  "HTTP 404 without a reason" },
	{ "gone", NACOS_BEAT, 410,
	  SPRING(410, "Gone", "{\\\"code\\\":40000,\\\"message\\\":\\\"deprecated\\\"}"),
	  NACOS_NO_API, 410, "deprecated" },
	{ "gone, in a 200", NACOS_BEAT, 200, "{\"code\":40000,\"message\":\"deprecated\"}",
	  NACOS_NO_API, 40000, "deprecated" },
	{ "no such api", NACOS_BEAT, 501, SPRING(501, "Not Implemented", "no such api:POST:/x"),
	  NACOS_NO_API, 501, "no such api:POST:/x" },
	{ "a 404 with a code comes from a server that has the API", NACOS_REGISTER, 404,
	  "{\"code\":20004,\"message\":\"resource not found\"}", NACOS_FAILED, 404,
	  "resource not found" },
	{ "wrong method", NACOS_BEAT, 405,
	  SPRING(405, "Method Not Allowed", "Method 'PUT' is not supported."), NACOS_FAILED, 405,
	  "Method 'PUT' is not supported." },
	{ "v1's answer is none", NACOS_REGISTER, 200, "ok", NACOS_FAILED, 200,
	  "not a Nacos reply: ok" },
	{ "nothing is none", NACOS_REGISTER, 200, "", NACOS_FAILED, 200,
	  "not a Nacos reply: an empty body" },
	{ "an object without a code is none", NACOS_BEAT, 200, "{\"clientBeatInterval\":5000}",
	  NACOS_FAILED, 200, "not a Nacos reply: nothing to read in it" },
	{ "a beat's code is none of v3's", NACOS_BEAT, 200, "{\"code\":10200}", NACOS_FAILED, 10200,
	  "unexpected code 10200" },
	{ "code no number", NACOS_BEAT, 200, "{\"code\":\"0\"}", NACOS_FAILED, 200,
	  "unexpected code 0" },
	{ "peers disagree", NACOS_REGISTER, 400,
	  SPRING(400, "Bad Request", "receive invalid redirect request from peer 127.0.0.1"),
	  NACOS_FAILED, 400, "receive invalid redirect request from peer 127.0.0.1" },
};

#define N_VECTORS (sizeof(vectors) / sizeof(vectors[0]))

/* From a heap copy of exactly its size, so that a sanitizer sees one byte read too many. */
static struct nacos_outcome judge(const struct vector *v, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);
	struct nacos_outcome out;

	cr_assert(copy);
	memset(&out, 0x5a, sizeof(out));
	memcpy(copy, v->body, n);
	nacos_judge(NACOS_V3, v->call, v->status, copy, n, &out);
	free(copy);
	return out;
}

Test(nacos_reply_v3, vectors)
{
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct vector *v = &vectors[i];
		struct nacos_outcome out = judge(v, strlen(v->body));

		cr_expect_eq(out.verdict, v->verdict, "%s: verdict %d", v->name, (int)out.verdict);
		cr_expect_eq(out.code, v->code, "%s: code %d", v->name, out.code);
		cr_expect_eq(out.interval_ms, 0, "%s", v->name);
		cr_expect_str_eq(out.text, v->text, "%s: text '%s'", v->name, out.text);
	}
}

/* Cut anywhere, nothing is believed: neither that all is well nor that the instance is unknown. */
Test(nacos_reply_v3, cut_replies_are_never_believed)
{
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct vector *v = &vectors[i];

		for (size_t n = 0; n < strlen(v->body); n++) {
			struct nacos_outcome out = judge(v, n);

			cr_assert_neq(out.verdict, NACOS_OK, "%s cut at %zu", v->name, n);
			cr_assert_neq(out.verdict, NACOS_UNKNOWN, "%s cut at %zu", v->name, n);
			cr_assert(out.text[0], "%s cut at %zu", v->name, n);
		}
	}
}

/* A long data text ends with the line, not behind it. */
Test(nacos_reply_v3, long_texts_are_cut)
{
	char body[600];
	struct nacos_outcome out;

	for (size_t n = 0; n < 260; n++) {
		int length = snprintf(
			body, sizeof(body),
			"{\"code\":30000,\"message\":\"%.*s\",\"data\":\"%.*s\"}", (int)n,
			"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
			"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
			"mmmmmmmmmmmmmmmmm",
			(int)(n / 2), "dddddddddddddddddddddddddddddddddddddddddddd");

		nacos_judge(NACOS_V3, NACOS_BEAT, 200, body, (size_t)length, &out);
		cr_assert(memchr(out.text, '\0', sizeof(out.text)));
		cr_assert(out.text[0]);
	}
}

/* The same words, whoever says them: what a server refuses for its length is told apart from what it has read. */
Test(nacos_reply_v3, refused_heads_are_told_apart)
{
	static const struct {
		int status;
		const char *body;
		bool refused;
	} replies[] = {
		{ 400, "<!doctype html><title>HTTP Status 400</title>", true },
		{ 400, "Param 'serviceName' is required.", false },
		{ 400, "{\"code\":10000}", false },
		{ 400, "", false },
		{ 414, "", true },
		{ 431, "too large", true },
		{ 500, "<html>", false },
		{ 200, "<html>", false },
	};

	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct nacos_outcome out;

		nacos_judge(NACOS_V1, NACOS_REGISTER, replies[i].status, replies[i].body,
			    strlen(replies[i].body), &out);
		cr_expect_eq(out.head_refused, replies[i].refused, "%zu", i);
	}
}
