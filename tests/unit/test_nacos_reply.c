/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What replies mean
 *
 * The vectors are the shapes that official 1.4.8, 2.5.1 and 3.0.3 servers (and a 2.5.1 cluster)
 * gave to these calls, with their texts; the rest is what proxies, lenient servers and broken ones
 * may send. Every body is judged from a heap copy of exactly its size, so that a sanitizer sees one
 * byte read too many.
 */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacos/json.h"
#include "nacos/line.h"
#include "nacos/reply.h"

struct vector {
	const char *name;
	enum nacos_call call;
	int status;
	const char *body;
	enum nacos_verdict verdict;
	int code;
	uint32_t interval_ms;
	const char *text;
};

#define SPRING(status, error, message)                                         \
	"{\"timestamp\":\"2026-11-23T07:50:24.067+00:00\",\"status\":" #status \
	",\"error\":\"" error "\",\"message\":\"" message "\",\"path\":\"/nacos/v1/ns/instance\"}"

#define TOMCAT_PAGE(title)                                                                           \
	"<!doctype html><html lang=\"en\"><head><title>" title                                       \
	"</title><style type=\"text/css\">body "                                                     \
	"{font-family:Tahoma,Arial,sans-serif;} h1 {font-size:22px;}</style></head><body><h1>" title \
	"</h1></body></html>"

static const struct vector vectors[] = {
	/* Beats */
	{ "beat", NACOS_BEAT, 200,
	  "{\"clientBeatInterval\":5000,\"code\":10200,\"lightBeatEnabled\":true}", NACOS_OK, 10200,
	  5000, "" },
	{ "beat, unknown, 1.4", NACOS_BEAT, 200, "{\"clientBeatInterval\":5000,\"code\":20404}",
	  NACOS_UNKNOWN, 20404, 5000, "the registry does not know this instance" },
	{ "beat, unknown, 2.x", NACOS_BEAT, 200,
	  "{\"clientBeatInterval\":5000,\"code\":20404,\"lightBeatEnabled\":true}", NACOS_UNKNOWN,
	  20404, 5000, "the registry does not know this instance" },
	{ "beat, very old server", NACOS_BEAT, 200, "{\"clientBeatInterval\":7000}", NACOS_OK, 200,
	  7000, "" },
	{ "beat, empty object", NACOS_BEAT, 200, "{}", NACOS_OK, 200, 0, "" },
	{ "beat, blanks round it", NACOS_BEAT, 200,
	  " \r\n{ \"code\" : 10200 , \"x\" : { \"code\" : 1 } }\n", NACOS_OK, 10200, 0, "" },
	{ "beat, the outer code counts", NACOS_BEAT, 200,
	  "{\"data\":{\"code\":10200},\"code\":20404}", NACOS_UNKNOWN, 20404, 0,
	  "the registry does not know this instance" },
	{ "beat, interval 0", NACOS_BEAT, 200, "{\"clientBeatInterval\":0,\"code\":10200}",
	  NACOS_OK, 10200, 0, "" },
	{ "beat, interval negative", NACOS_BEAT, 200,
	  "{\"clientBeatInterval\":-5000,\"code\":10200}", NACOS_OK, 10200, 0, "" },
	{ "beat, interval out of all reason", NACOS_BEAT, 200,
	  "{\"clientBeatInterval\":99999999999,\"code\":10200}", NACOS_OK, 10200, 0, "" },
	{ "beat, interval a string", NACOS_BEAT, 200,
	  "{\"clientBeatInterval\":\"5000\",\"code\":10200}", NACOS_OK, 10200, 0, "" },
	{ "beat, text", NACOS_BEAT, 200, "ok", NACOS_FAILED, 200, 0, "not a Nacos reply: ok" },
	{ "beat, nothing", NACOS_BEAT, 200, "", NACOS_FAILED, 200, 0,
	  "not a Nacos reply: an empty body" },
	{ "beat, blanks", NACOS_BEAT, 200, " \r\n", NACOS_FAILED, 200, 0,
	  "not a Nacos reply: nothing to read in it" },
	{ "beat, a list", NACOS_BEAT, 200, "[{\"code\":10200}]", NACOS_FAILED, 200, 0,
	  "not a Nacos reply: [{\"code\":10200}]" },
	{ "beat, a proxy's page", NACOS_BEAT, 200,
	  "<html><head><TITLE>Log in\n</TITLE></head></html>", NACOS_FAILED, 200, 0,
	  "not a Nacos reply: Log in" },
	{ "beat, two objects", NACOS_BEAT, 200, "{\"code\":10200}{\"code\":10200}", NACOS_FAILED,
	  200, 0, "not a Nacos reply: {\"code\":10200}{\"code\":10200}" },
	{ "beat, another code", NACOS_BEAT, 200,
	  "{\"code\":30000,\"message\":\"server error\",\"data\":null}", NACOS_FAILED, 30000, 0,
	  "server error" },
	{ "beat, another code, and an interval that means nothing then", NACOS_BEAT, 200,
	  "{\"clientBeatInterval\":9000,\"code\":30000}", NACOS_FAILED, 30000, 0,
	  "unexpected code 30000" },
	{ "beat, said twice: the last counts", NACOS_BEAT, 200, "{\"code\":10200,\"code\":20404}",
	  NACOS_UNKNOWN, 20404, 0, "the registry does not know this instance" },
	{ "beat, code no number", NACOS_BEAT, 200, "{\"code\":\"10200\"}", NACOS_FAILED, 200, 0,
	  "unexpected code 10200" },
	{ "beat, denied inside a 200", NACOS_BEAT, 200, "{\"code\":403,\"message\":\"no right\"}",
	  NACOS_DENIED, 403, 0, "no right" },
	{ "beat, malformed, 1.4", NACOS_BEAT, 500,
	  "caused: errCode: 101, errMsg: Nacos deserialize for class [com.alibaba.nacos.naming.healthcheck.RsInfo] "
	  "failed.  ;caused: Unexpected character ('b' (code 98)): was expecting double-quote to start field name\n"
	  " at [Source: (String)\"{bad\"; line: 1, column: 3];",
	  NACOS_FAILED, 500, 0,
	  "caused: errCode: 101, errMsg: Nacos deserialize for class "
	  "[com.alibaba.nacos.naming.healthcheck.RsInfo] failed.  ;caused: Unexp" },
	{ "beat of a persistent instance, full, 2.x", NACOS_BEAT, 400,
	  "errCode: 400, errMsg: Current service DEFAULT_GROUP@@p is persistent service, can't register ephemeral "
	  "instance. ",
	  NACOS_REFUSED, 400, 0,
	  "errCode: 400, errMsg: Current service DEFAULT_GROUP@@p is persistent service, can't register ephemeral "
	  "instance." },
	{ "beat, service gone", NACOS_BEAT, 500, "service not found: DEFAULT_GROUP@@orders@public",
	  NACOS_FAILED, 500, 0, "service not found: DEFAULT_GROUP@@orders@public" },
	{ "beat, wrong method, 1.4", NACOS_BEAT, 501,
	  SPRING(501, "Not Implemented", "no such api:POST:/nacos/v1/ns/instance/beat"),
	  NACOS_NO_API, 501, 0, "no such api:POST:/nacos/v1/ns/instance/beat" },
	{ "beat, no token, 3.0", NACOS_BEAT, 403,
	  SPRING(403, "Forbidden",
		 "Code: 401, Message: User not found! Please check user exist or password is right!."),
	  NACOS_DENIED, 403, 0,
	  "Code: 401, Message: User not found! Please check user exist or password is right!." },
	{ "beat, forward to a dead peer", NACOS_BEAT, 500,
	  "org.apache.http.conn.HttpHostConnectException: Connect to 127.0.0.1:18868 failed: Connection refused",
	  NACOS_FAILED, 500, 0,
	  "org.apache.http.conn.HttpHostConnectException: Connect to 127.0.0.1:18868 failed: Connection refused" },

	/* Register */
	{ "register", NACOS_REGISTER, 200, "ok", NACOS_OK, 200, 0, "" },
	{ "register, lenient server", NACOS_REGISTER, 200, "\"ok\"\n", NACOS_OK, 200, 0, "" },
	{ "register, nothing", NACOS_REGISTER, 200, "", NACOS_OK, 200, 0, "" },
	{ "register, wrapped result", NACOS_REGISTER, 200,
	  "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}", NACOS_OK, 200, 0, "" },
	{ "register, wrapped 200", NACOS_REGISTER, 200, "{\"code\":200,\"data\":\"ok\"}", NACOS_OK,
	  200, 0, "" },
	{ "register, wrapped failure", NACOS_REGISTER, 200,
	  "{\"code\":21003,\"message\":\"instance not found\",\"data\":null}", NACOS_FAILED, 21003,
	  0, "instance not found" },
	{ "register, wrapped failure without a word", NACOS_REGISTER, 200, "{\"code\":21003}",
	  NACOS_FAILED, 21003, 0, "unexpected code 21003" },
	{ "register, half an object", NACOS_REGISTER, 200, "{\"code\":403,\"mess", NACOS_FAILED,
	  200, 0, "not a Nacos reply: {\"code\":403,\"mess" },
	{ "register, a proxy's page", NACOS_REGISTER, 200, TOMCAT_PAGE("Welcome"), NACOS_FAILED,
	  200, 0, "not a Nacos reply: Welcome" },
	{ "register, weight, 1.4", NACOS_REGISTER, 500,
	  "caused: instance format invalid: The weights range from 0.0 to 10000.0;", NACOS_FAILED,
	  500, 0, "caused: instance format invalid: The weights range from 0.0 to 10000.0;" },
	{ "register, weight, 2.x", NACOS_REGISTER, 400,
	  "instance format invalid: The weights range from 0.0 to 10000.0", NACOS_REFUSED, 400, 0,
	  "instance format invalid: The weights range from 0.0 to 10000.0" },
	{ "register, metadata, 1.4", NACOS_REGISTER, 500, "caused: metadata format incorrect:{bad;",
	  NACOS_FAILED, 500, 0, "caused: metadata format incorrect:{bad;" },
	{ "register, metadata, 2.x", NACOS_REGISTER, 500,
	  SPRING(500, "Internal Server Error",
		 "Server failed, caused: ErrCode:400, ErrMsg:metadata format incorrect:{\\\"a\\\":{\\\"b\\\":1}}"),
	  NACOS_FAILED, 500, 0,
	  "Server failed, caused: ErrCode:400, ErrMsg:metadata format incorrect:{\"a\":{\"b\":1}}" },
	{ "register, metadata too long, 2.x", NACOS_REGISTER, 400,
	  "Param 'Metadata' is illegal, the param length should not exceed 1024.\r\n",
	  NACOS_REFUSED, 400, 0,
	  "Param 'Metadata' is illegal, the param length should not exceed 1024." },
	{ "register, service name in Chinese, 1.4", NACOS_REGISTER, 400,
	  "caused: dom name can only have these characters: 0-9a-zA-Z-._:, current: DEFAULT_GROUP@@\u8ba2\u5355;",
	  NACOS_REFUSED, 400, 0,
	  "caused: dom name can only have these characters: 0-9a-zA-Z-._:, current: DEFAULT_GROUP@@\u8ba2\u5355;" },
	{ "register, beat settings, 2.x", NACOS_REGISTER, 400,
	  "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'.",
	  NACOS_REFUSED, 400, 0,
	  "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'." },
	{ "register, Tomcat refuses the head", NACOS_REGISTER, 400,
	  TOMCAT_PAGE("HTTP Status 400 \u2013 Bad Request"), NACOS_REFUSED, 400, 0,
	  "HTTP Status 400 \u2013 Bad Request" },
	{ "register, peers disagree", NACOS_REGISTER, 400,
	  SPRING(400, "Bad Request", "receive invalid redirect request from peer 127.0.0.1"),
	  NACOS_FAILED, 400, 0, "receive invalid redirect request from peer 127.0.0.1" },
	{ "beat, peers disagree, as text", NACOS_BEAT, 400,
	  "receive invalid redirect request from peer 10.0.0.9", NACOS_FAILED, 400, 0,
	  "receive invalid redirect request from peer 10.0.0.9" },
	{ "register, no token, 1.4", NACOS_REGISTER, 403, SPRING(403, "Forbidden", "unknown user!"),
	  NACOS_DENIED, 403, 0, "unknown user!" },
	{ "register, 401", NACOS_REGISTER, 401, "", NACOS_DENIED, 401, 0,
	  "HTTP 401 without a reason" },
	{ "register, v1 switched off, 3.0", NACOS_REGISTER, 410,
	  SPRING(410, "Gone",
		 "{\\\"code\\\":40000,\\\"message\\\":\\\"Current API will be deprecated, please use v3.\\\"}"),
	  NACOS_NO_API, 410, 0, "Current API will be deprecated, please use v3." },
	{ "register, v1 gone", NACOS_REGISTER, 404,
	  SPRING(404, "Not Found", "No message available"), NACOS_NO_API, 404, 0, "Not Found" },
	{ "register, wrong context path", NACOS_REGISTER, 404,
	  TOMCAT_PAGE("HTTP Status 404 \u2013 Not Found"), NACOS_NO_API, 404, 0,
	  "HTTP Status 404 \u2013 Not Found" },
	{ "register, starting up", NACOS_REGISTER, 503,
	  "server is STARTINGnow, please try again later!", NACOS_FAILED, 503, 0,
	  "server is STARTINGnow, please try again later!" },
	{ "register, a proxy's 502", NACOS_REGISTER, 502, "<html><body>nope</body></html>",
	  NACOS_FAILED, 502, 0, "HTTP 502 without a reason" },
	{ "register, a redirect", NACOS_REGISTER, 302, "", NACOS_FAILED, 302, 0,
	  "HTTP 302 without a reason" },
	{ "register, too many", NACOS_REGISTER, 429, "slow down\nplease", NACOS_FAILED, 429, 0,
	  "slow down" },
	{ "register, empty message", NACOS_REGISTER, 500, SPRING(500, "Internal Server Error", ""),
	  NACOS_FAILED, 500, 0, "Internal Server Error" },
	{ "register, message null", NACOS_REGISTER, 500, "{\"message\":null}", NACOS_FAILED, 500, 0,
	  "HTTP 500 without a reason" },

	/* Deregister */
	{ "deregister", NACOS_DEREGISTER, 200, "ok", NACOS_OK, 200, 0, "" },
	{ "deregister, v1 switched off", NACOS_DEREGISTER, 410, SPRING(410, "Gone", "use v3"),
	  NACOS_NO_API, 410, 0, "use v3" },
	{ "deregister, no leader", NACOS_DEREGISTER, 500, "caused: no leader;", NACOS_FAILED, 500,
	  0, "caused: no leader;" },
};

#define N_VECTORS (sizeof(vectors) / sizeof(vectors[0]))

static struct nacos_outcome judge_as(enum nacos_version version, enum nacos_call call, int status,
				     const char *body, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);
	struct nacos_outcome out;

	cr_assert(copy);
	memset(&out, 0x5a, sizeof(out));
	memcpy(copy, body, n);
	nacos_judge(version, call, status, copy, n, &out);
	free(copy);
	return out;
}

static struct nacos_outcome judge(enum nacos_call call, int status, const char *body, size_t n)
{
	return judge_as(NACOS_V1, call, status, body, n);
}

Test(nacos_reply, vectors)
{
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct vector *v = &vectors[i];
		struct nacos_outcome out = judge(v->call, v->status, v->body, strlen(v->body));

		cr_expect_eq(out.verdict, v->verdict, "%s: verdict %d", v->name, (int)out.verdict);
		cr_expect_eq(out.code, v->code, "%s: code %d", v->name, out.code);
		cr_expect_eq(out.interval_ms, v->interval_ms, "%s: interval %u", v->name,
			     out.interval_ms);
		cr_expect_str_eq(out.text, v->text, "%s: text '%s'", v->name, out.text);
	}
}

/* Valid UTF-8 of one printable line: what terminals, logs and status lines may be given. */
static bool is_printable_line(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	if (n == size)
		return false;
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)text[i];
		size_t width = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;

		if (c < 0x20 || c == 0x7f || width == 0 || i + width > n)
			return false;
		if (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0)
			return false;
		for (size_t k = 1; k < width; k++) {
			if (((unsigned char)text[i + k] & 0xc0) != 0x80)
				return false;
		}
		i += width;
	}
	return true;
}

/* Cut anywhere, no beat counts, no instance is called unknown, and no code is believed. */
Test(nacos_reply, cut_replies_are_never_believed)
{
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct vector *v = &vectors[i];
		size_t whole = strlen(v->body);

		while (whole > 0 && strchr(" \r\n", v->body[whole - 1]))
			whole--; /* an object is whole without what follows it */
		for (size_t n = 0; n < whole; n++) {
			struct nacos_outcome out = judge(v->call, v->status, v->body, n);

			cr_assert(is_printable_line(out.text, sizeof(out.text)), "%s cut at %zu",
				  v->name, n);
			cr_assert_eq(out.text[0] == '\0', out.verdict == NACOS_OK, "%s cut at %zu",
				     v->name, n);
			if (v->status != 200 || strncmp(v->body, "{\"code\":10200}{", 15) == 0)
				continue;
			if (v->call == NACOS_BEAT || (v->body[0] == '{' && n > 0))
				cr_assert_eq(out.verdict, NACOS_FAILED, "%s cut at %zu", v->name,
					     n);
			cr_assert_eq(out.code, 200, "%s cut at %zu", v->name, n);
		}
	}
}

/*
 * The status rules when it is bad, however the body was cut; but for the one text that must be
 * read.
 */
Test(nacos_reply, cut_replies_keep_their_status)
{
	for (size_t i = 0; i < N_VECTORS; i++) {
		const struct vector *v = &vectors[i];

		if (v->status == 200 || strstr(v->name, "peers disagree"))
			continue;
		for (size_t n = 0; n < strlen(v->body); n++)
			cr_assert_eq(judge(v->call, v->status, v->body, n).verdict, v->verdict,
				     "%s cut at %zu", v->name, n);
	}
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

Test(nacos_reply, garbage_is_tolerated)
{
	static const int statuses[] = { 200, 400, 403, 404, 500, 0, -1, 99999 };
	uint64_t x = 0x9e3779b97f4a7c15u;
	char body[256];

	for (int round = 0; round < 30000; round++) {
		size_t n = next_random(&x) % sizeof(body);
		enum nacos_call call = (enum nacos_call)(next_random(&x) % 3);
		struct nacos_outcome out;

		for (size_t i = 0; i < n; i++)
			body[i] = (char)next_random(&x);
		out = judge(call, statuses[next_random(&x) % 8], body, n);
		cr_assert(is_printable_line(out.text, sizeof(out.text)), "round %d", round);
		cr_assert(call != NACOS_BEAT || out.verdict != NACOS_OK, "round %d", round);
		cr_assert_neq(out.verdict, NACOS_UNKNOWN, "round %d", round);
	}
}

/* Real bodies with bytes changed: near misses reach deeper than noise does. */
Test(nacos_reply, spoilt_replies_are_tolerated)
{
	static const char spoilers[] = "{}[]\",:\\u0<>\n\x80\xff";
	uint64_t x = 0x2545f4914f6cdd1du;
	char body[1024];

	for (int round = 0; round < 30000; round++) {
		const struct vector *v = &vectors[next_random(&x) % N_VECTORS];
		size_t n = strlen(v->body);
		struct nacos_outcome out;

		cr_assert(n < sizeof(body));
		memcpy(body, v->body, n);
		for (uint64_t k = next_random(&x) % 4; n > 0 && k > 0; k--)
			body[next_random(&x) % n] = spoilers[next_random(&x) % sizeof(spoilers)];
		out = judge(v->call, v->status, body, n);
		cr_assert(is_printable_line(out.text, sizeof(out.text)), "round %d", round);
		cr_assert_eq(out.text[0] == '\0', out.verdict == NACOS_OK, "round %d", round);
	}
}

/* A body made to cost memory or time is refused for its size in parts, before anything grows. */
Test(nacos_reply, deep_and_wide_bodies_are_refused)
{
	static char body[65536];
	struct nacos_outcome out;

	memset(body, '[', sizeof(body));
	cr_expect_eq(judge(NACOS_BEAT, 200, body, sizeof(body)).verdict, NACOS_FAILED);
	memset(body, '{', sizeof(body));
	cr_expect_eq(judge(NACOS_REGISTER, 200, body, sizeof(body)).verdict, NACOS_FAILED);
	for (size_t i = 0; i + 6 < sizeof(body); i += 6)
		memcpy(body + i, "\"a\":1,", 6);
	body[0] = '{';
	body[sizeof(body) - 1] = '}';
	out = judge(NACOS_BEAT, 200, body, sizeof(body));
	cr_expect_eq(out.verdict, NACOS_FAILED);
	cr_expect(is_printable_line(out.text, sizeof(out.text)));
}

/* A member more is read, or the whole is refused; it is never half read. */
Test(nacos_reply, objects_are_read_up_to_the_last_member)
{
	struct json_object object;
	char body[1024];
	size_t n = 0;

	for (unsigned int i = 0; i < JSON_MEMBERS_MAX; i++) {
		n += (size_t)snprintf(body + n, sizeof(body) - n, "%c\"k%u\":%u", i > 0 ? ',' : '{',
				      i, i);
		body[n] = '}';
		cr_assert(json_object_read(&object, body, n + 1));
		cr_assert_eq(object.n_members, i + 1);
	}
	n += (size_t)snprintf(body + n, sizeof(body) - n, ",\"one more\":1}");
	cr_expect_not(json_object_read(&object, body, n));
}

/* What jsmn lets pass and is no JSON object all the same. */
Test(nacos_reply, malformed_objects_are_refused)
{
	static const char *const bodies[] = {
		"{\"code\"}",
		"{\"code\":}",
		"{\"code\":10200 \"x\":1}",
		"{\"a\":\"b\" \"code\":10200}",
		"{code:10200}",
		"{1:10200}",
		"{\"code\":10200} x",
		"{\"code\":10200}]",
		"{\"code\":10200",
		"\"code\":10200",
		"{{\"code\":10200}}",
		"{[\"code\"]:10200}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u12\"}",
	};
	struct json_object object;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		cr_expect_not(json_object_read(&object, bodies[i], strlen(bodies[i])), "%s",
			      bodies[i]);
	cr_expect_not(json_object_read(&object, "{\"a\":1}\0", 8), "a NUL behind the object");
	cr_expect_not(json_object_read(&object, "{\"a\"\0:1}", 8), "a NUL inside the object");
}

Test(nacos_reply, escapes_are_undone)
{
	static const char body[] =
		"{\"message\":\"a\\\"\\\\\\/\\t\\u00e9\\u5317\\ud83d\\ude80\\ud83d!\\udc00\"}";
	struct nacos_outcome out = judge(NACOS_REGISTER, 500, body, sizeof(body) - 1);

	cr_expect_str_eq(out.text, "a\"\\/ \u00e9\u5317\U0001f680\ufffd!\ufffd");
}

/* A terminal obeys ESC, C1 controls and carriage returns. */
Test(nacos_reply, text_has_no_control_characters)
{
	static const char body[] = "\r\n \x1b[31mred\x07\x7f \xc2\x9b"
				   "2J\tend \r\nsecond";
	struct nacos_outcome out = judge(NACOS_REGISTER, 500, body, sizeof(body) - 1);

	cr_expect_str_eq(out.text, "[31mred 2J end");
}

/*
 * Overlong forms, surrogates, lone continuation bytes and numbers beyond Unicode are bytes, not
 * characters.
 */
Test(nacos_reply, invalid_utf8_is_shown_as_question_marks)
{
	static const char body[] = "a\xc0\xaf"
				   "b\xed\xa0\x80"
				   "c\x80"
				   "d\xf4\x90\x80\x80"
				   "e\xe5\x8c";
	struct nacos_outcome out = judge(NACOS_REGISTER, 500, body, sizeof(body) - 1);

	cr_expect_str_eq(out.text, "a??b???c?d????e??");
}

/* For every length of the buffer the text ends between two characters. */
Test(nacos_reply, text_is_cut_between_characters)
{
	static const char text[] = "ab\u00e9\u5317\U0001f680z";
	static const size_t fits[] = { 0, 1, 2, 2, 4, 4, 4, 7, 7, 7, 7, 11, 12, 12 };

	for (size_t size = 1; size <= sizeof(fits) / sizeof(fits[0]); size++) {
		char *buf = malloc(size);

		cr_assert_eq(line_first(text, sizeof(text) - 1, buf, size), fits[size - 1],
			     "size %zu", size);
		cr_assert_eq(strlen(buf), fits[size - 1]);
		cr_assert_eq(memcmp(buf, text, fits[size - 1]), 0);
		free(buf);
	}
}

/* The body is looked at up to its end and no further, wherever the text that matters stands. */
Test(nacos_reply, peers_disagree_is_found_anywhere)
{
	static const char body[] = "caused: receive invalid redirect request from peer";

	cr_expect_eq(judge(NACOS_REGISTER, 400, body, sizeof(body) - 1).verdict, NACOS_FAILED);
	cr_expect_eq(judge(NACOS_REGISTER, 400, body, sizeof(body) - 2).verdict, NACOS_REFUSED);
}
