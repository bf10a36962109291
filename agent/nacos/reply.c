/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judging replies of API v1 and v3
 *
 * The verdict comes from the HTTP status and the JSON "code", because nothing else can be relied
 * on: bodies are text, JSON or HTML by server version, by layer and by Accept, and a forwarded text
 * may call itself JSON. Two things force a look at the body all the same. A 400 whose message says
 * "receive invalid redirect request from peer" is the cluster's quarrel about its members and
 * passes within seconds, while every other 400 is the instance's own fault. And a 200 must be what
 * it pretends to be: a beat counts only when the reply is a JSON object (without a code on very old
 * servers), or a proxy's greeting page would keep instances "alive"; a register or deregister
 * counts with any text ("ok" on real servers, other words on lenient ones), but not with a page, a
 * broken object or one whose code says that it failed.
 *
 * v3 wraps everything into a result, {"code":0,"message":"success","data":"ok"}, and puts some of its
 * troubles into a 200: a beat that finds nothing is 21003 there. So with v3 a 200 without a code is
 * nobody's reply, and a 404 with one comes from a server that has this API, while every other 404
 * comes from one that is too old for it. The code of a later server's 400 or 404 is believed for a
 * beat alone: taken for a failure, an instance that the server has lost would never be registered
 * again.
 *
 * A 500 may be the instance's fault too (bad metadata everywhere, bad weight on 1.4). That cannot
 * be told from one reply: the sender asks another node, and shows the text kept here.
 *
 * The text is for people: the JSON message, the title of a page, or the first line, whichever there
 * is.
 */
#include "nacos/reply.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "nacos/json.h"
#include "nacos/line.h"

#define CODE_BEATEN 10200
#define CODE_UNKNOWN_INSTANCE 20404
/* Of v3's results. */
#define CODE_PARAMETER_MISSING 10000
#define CODE_ACCESS_DENIED 10001
#define CODE_INVALID 20002
#define CODE_SERVICE_NAME 21000
#define CODE_WEIGHT 21001
#define CODE_METADATA 21002
#define CODE_INSTANCE_NOT_FOUND 21003
#define CODE_INSTANCE 21004
#define CODE_SERVICE_NOT_FOUND 21008
#define CODE_API_GONE 40000

#define UNKNOWN_TEXT "the registry does not know this instance"

#define PEERS_DISAGREE "receive invalid redirect request from peer"
/* What Spring writes when it has nothing to say. */
#define NO_MESSAGE "No message available"

/* A message longer than this is cut before its escapes are looked at; the line is shorter still. */
#define MESSAGE_MAX 2048u

struct reply {
	int status;
	const char *body;
	size_t n_body;
	bool is_object;
	struct json_object object;
};

/* 0 when there is only blank. */
static char first_char(const char *body, size_t n)
{
	size_t i = 0;

	while (i < n && strchr(" \t\r\n", body[i]) && body[i])
		i++;
	return i < n ? body[i] : '\0';
}

/* A string member as a line. 0 when it is missing, empty or no string. */
static size_t member_line(const struct json_object *object, const char *name, char *buf,
			  size_t size)
{
	const struct json_value *value = json_object_find(object, name);
	char text[MESSAGE_MAX];

	if (!value || value->type != JSON_STRING)
		return 0;
	return line_first(text, json_value_text(value, text, sizeof(text)), buf, size);
}

/* 3.x puts a whole result object into the message of its error page. */
static size_t nested_message_line(const struct json_object *object, char *buf, size_t size)
{
	const struct json_value *message = json_object_find(object, "message");
	struct json_object inner;
	char text[MESSAGE_MAX];

	if (!message || message->type != JSON_STRING)
		return 0;
	if (!json_object_read(&inner, text, json_value_text(message, text, sizeof(text))))
		return 0;
	return member_line(&inner, "message", buf, size);
}

/* A result's message names the kind of trouble, its data what is wrong. */
static size_t add_data(const struct json_object *object, char *buf, size_t n, size_t size)
{
	size_t n_data;

	if (n == 0 || size - n < 4 || !json_object_find(object, "code"))
		return n;
	n_data = member_line(object, "data", buf + n + 2, size - n - 2);
	if (n_data > 0)
		memcpy(buf + n, ": ", 2);
	else
		buf[n] = '\0';
	return n_data > 0 ? n + 2 + n_data : n;
}

static size_t object_line(const struct json_object *object, char *buf, size_t size)
{
	size_t n = nested_message_line(object, buf, size);

	if (n == 0)
		n = add_data(object, buf, member_line(object, "message", buf, size), size);
	if (n == 0 || strcmp(buf, NO_MESSAGE) == 0)
		n = member_line(object, "error", buf, size);
	return n;
}

/* The text of a page's <title>, without looking for more order than pages have. */
static size_t title_line(const char *body, size_t n, char *buf, size_t size)
{
	static const char tag[] = "<title";
	const char *end = body + n;
	const char *from;
	const char *to;

	for (from = body; (from = memchr(from, '<', (size_t)(end - from))); from++) {
		if ((size_t)(end - from) > sizeof(tag) &&
		    strncasecmp(from, tag, sizeof(tag) - 1) == 0)
			break;
	}
	from = from ? memchr(from, '>', (size_t)(end - from)) : NULL;
	if (!from)
		return 0;
	from++;
	to = memchr(from, '<', (size_t)(end - from));
	return to ? line_first(from, (size_t)(to - from), buf, size) : 0;
}

/* What the body says, in a line; otherwise, when it says nothing. */
static void describe(const struct reply *r, const char *otherwise, char *buf, size_t size)
{
	size_t n;

	if (r->is_object)
		n = object_line(&r->object, buf, size);
	else if (first_char(r->body, r->n_body) == '<')
		n = title_line(r->body, r->n_body, buf, size);
	else
		n = line_first(r->body, r->n_body, buf, size);
	if (n == 0)
		snprintf(buf, size, "%s", otherwise);
}

static void judge_failed(const struct reply *r, struct nacos_outcome *out)
{
	char otherwise[32];

	snprintf(otherwise, sizeof(otherwise), "HTTP %d without a reason", r->status);
	describe(r, otherwise, out->text, sizeof(out->text));
}

/* Puts prefix into the text. Returns its length. */
static size_t put_prefix(struct nacos_outcome *out, const char *prefix)
{
	return (size_t)snprintf(out->text, sizeof(out->text), "%s", prefix);
}

/* A 200 that is none. */
static void judge_nonsense(const struct reply *r, struct nacos_outcome *out)
{
	size_t n = put_prefix(out, "not a Nacos reply: ");

	out->verdict = NACOS_FAILED;
	describe(r, r->n_body > 0 ? "nothing to read in it" : "an empty body", out->text + n,
		 sizeof(out->text) - n);
}

/* What a code means when it is neither success nor a beat's own. */
static enum nacos_verdict judge_code(long long code)
{
	switch (code) {
	case 401:
	case 403:
	case CODE_ACCESS_DENIED:
		return NACOS_DENIED;
	case CODE_PARAMETER_MISSING:
	case CODE_INVALID:
	case CODE_SERVICE_NAME:
	case CODE_WEIGHT:
	case CODE_METADATA:
	case CODE_INSTANCE:
		return NACOS_REFUSED;
	case CODE_API_GONE:
		return NACOS_NO_API;
	default:
		return NACOS_FAILED;
	}
}

static void judge_bad_code(const struct reply *r, const struct json_value *value,
			   struct nacos_outcome *out)
{
	long long code;
	size_t n;

	out->verdict = NACOS_FAILED;
	if (json_value_integer(value, &code)) {
		out->verdict = judge_code(code);
		if (code > 0 && code < 1000000)
			out->code = (int)code;
	}
	if (object_line(&r->object, out->text, sizeof(out->text)) > 0)
		return;
	n = put_prefix(out, "unexpected code ");
	line_first(value->at, value->n, out->text + n, sizeof(out->text) - n);
}

static uint32_t interval_of(const struct json_object *object)
{
	const struct json_value *value = json_object_find(object, "clientBeatInterval");
	long long ms;

	if (!value || !json_value_integer(value, &ms) || ms <= 0 || ms > INT32_MAX)
		return 0;
	return (uint32_t)ms;
}

static void judge_beaten(const struct reply *r, struct nacos_outcome *out)
{
	const struct json_value *value;
	long long code;

	if (!r->is_object) {
		judge_nonsense(r, out);
		return;
	}
	value = json_object_find(&r->object, "code");
	out->verdict = NACOS_OK;
	out->interval_ms = interval_of(&r->object);
	if (!value)
		return;
	if (json_value_integer(value, &code) &&
	    (code == CODE_BEATEN || code == CODE_UNKNOWN_INSTANCE)) {
		out->code = (int)code;
		if (code == CODE_BEATEN)
			return;
		out->verdict = NACOS_UNKNOWN;
		put_prefix(out, UNKNOWN_TEXT);
		return;
	}
	out->interval_ms = 0;
	judge_bad_code(r, value, out);
}

/* Codes of the wrapped results of later APIs, and of a beat. */
static bool is_success(const struct json_value *value)
{
	long long code;

	return json_value_integer(value, &code) &&
	       (code == 0 || code == 200 || code == CODE_BEATEN);
}

static void judge_done(const struct reply *r, struct nacos_outcome *out)
{
	const struct json_value *value;
	char first;

	if (r->is_object) {
		value = json_object_find(&r->object, "code");
		if (value && !is_success(value))
			judge_bad_code(r, value, out);
		return;
	}
	first = first_char(r->body, r->n_body);
	if (first == '{' || first == '<')
		judge_nonsense(r, out);
}

/* The code of a v3 result, any other than 0. False when it says what judge_code() would say of it. */
static bool judge_not_found(long long code, enum nacos_call call, struct nacos_outcome *out)
{
	if (code != CODE_INSTANCE_NOT_FOUND && code != CODE_SERVICE_NOT_FOUND)
		return false;
	if (call == NACOS_DEREGISTER) {
		out->verdict = NACOS_OK; /* it is not there any more */
		return true;
	}
	if (call != NACOS_BEAT)
		return false;
	out->verdict = NACOS_UNKNOWN;
	out->code = (int)code;
	put_prefix(out, UNKNOWN_TEXT);
	return true;
}

static void judge_result(const struct reply *r, enum nacos_call call, struct nacos_outcome *out)
{
	const struct json_value *value = r->is_object ? json_object_find(&r->object, "code") : NULL;
	long long code;

	if (!value) {
		judge_nonsense(r, out);
		return;
	}
	if (json_value_integer(value, &code) &&
	    (code == 0 || code == 200 || judge_not_found(code, call, out)))
		return;
	judge_bad_code(r, value, out);
}

static enum nacos_verdict judge_status(const struct reply *r)
{
	switch (r->status) {
	case 200:
		return NACOS_OK;
	case 400:
		return memmem(r->body, r->n_body, PEERS_DISAGREE, sizeof(PEERS_DISAGREE) - 1)
			       ? NACOS_FAILED
			       : NACOS_REFUSED;
	case 401:
	case 403:
		return NACOS_DENIED;
	case 404:
	case 410:
	case 501:
		return NACOS_NO_API;
	default:
		return NACOS_FAILED;
	}
}

/* A v3 server's refusal that brings its code along. */
static void judge_refusal_v3(const struct reply *r, enum nacos_call call, struct nacos_outcome *out)
{
	const struct json_value *value = r->is_object ? json_object_find(&r->object, "code") : NULL;
	long long code;

	if (!value || !json_value_integer(value, &code) || (r->status != 400 && r->status != 404))
		return;
	if (call == NACOS_BEAT && judge_not_found(code, call, out))
		return;
	if (r->status == 404)
		out->verdict = judge_code(code);
}

static bool is_head_refused(const struct reply *r)
{
	return r->status == 414 || r->status == 431 ||
	       (r->status == 400 && first_char(r->body, r->n_body) == '<');
}

void nacos_judge(enum nacos_version version, enum nacos_call call, int status, const char *body,
		 size_t n_body, struct nacos_outcome *out)
{
	struct reply r = { .status = status, .body = n_body > 0 ? body : "", .n_body = n_body };

	r.is_object = json_object_read(&r.object, r.body, n_body);
	*out = (struct nacos_outcome){ .verdict = judge_status(&r), .code = status };
	out->head_refused = is_head_refused(&r);
	if (out->verdict != NACOS_OK) {
		judge_failed(&r, out);
		if (version == NACOS_V3)
			judge_refusal_v3(&r, call, out);
	} else if (version == NACOS_V3) {
		judge_result(&r, call, out);
	} else if (call == NACOS_BEAT) {
		judge_beaten(&r, out);
	} else {
		judge_done(&r, out);
	}
}
