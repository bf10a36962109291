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
 * The text is for people.
 */
#include "nacos/reply.h"

#include <stdio.h>
#include <string.h>

#include "nacos/body.h"
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

struct reply {
	int status;
	struct body body;
};

/* Puts prefix into the text. Returns its length. */
static size_t put_prefix(struct nacos_outcome *out, const char *prefix)
{
	return (size_t)snprintf(out->text, sizeof(out->text), "%s", prefix);
}

/* A 200 that is none. */
static void judge_nonsense(const struct reply *r, struct nacos_outcome *out)
{
	out->verdict = NACOS_FAILED;
	body_nonsense_line(&r->body, out->text, sizeof(out->text));
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
	if (body_object_line(&r->body.object, out->text, sizeof(out->text)) > 0)
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

	if (!r->body.is_object) {
		judge_nonsense(r, out);
		return;
	}
	value = json_object_find(&r->body.object, "code");
	out->verdict = NACOS_OK;
	out->interval_ms = interval_of(&r->body.object);
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

	if (r->body.is_object) {
		value = json_object_find(&r->body.object, "code");
		if (value && !is_success(value))
			judge_bad_code(r, value, out);
		return;
	}
	first = body_first(&r->body);
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
	const struct json_value *value = json_object_find(&r->body.object, "code");
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
		return memmem(r->body.bytes, r->body.n, PEERS_DISAGREE, sizeof(PEERS_DISAGREE) - 1)
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
	long long code;

	if (!body_code(&r->body, &code) || (r->status != 400 && r->status != 404))
		return;
	if (call == NACOS_BEAT && judge_not_found(code, call, out))
		return;
	if (r->status == 404)
		out->verdict = judge_code(code);
}

static bool is_head_refused(const struct reply *r)
{
	return r->status == 414 || r->status == 431 ||
	       (r->status == 400 && body_first(&r->body) == '<');
}

void nacos_judge(enum nacos_version version, enum nacos_call call, int status, const char *body,
		 size_t n_body, struct nacos_outcome *out)
{
	struct reply r = { .status = status };

	body_read(&r.body, body, n_body);
	*out = (struct nacos_outcome){ .verdict = judge_status(&r), .code = status };
	out->head_refused = is_head_refused(&r);
	if (out->verdict != NACOS_OK) {
		body_status_line(&r.body, status, out->text, sizeof(out->text));
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
