/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry's replies, from the status line to the JSON: agent/http/framing.c, agent/nacos/reply.c, json.c and
 * line.c. The input is what comes over one connection until it ends.
 *
 * However the network cuts the stream up, the replies are the same, and so is the complaint. Each reply, taken
 * for the answer to each call, has a verdict; one that is not good has a line that says why.
 */
#include <errno.h>

#include "fuzz/fuzz.h"
#include "http/framing.h"
#include "http/result.h"
#include "nacos/reply.h"

/* Everything that was heard, as a sum, so that two ways of hearing it can be compared. */
struct heard {
	uint64_t sum;
	uint32_t n_replies;
	int error;
	const char *why;
};

static void add(struct heard *h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		h->sum = (h->sum ^ p[i]) * UINT64_C(0x100000001b3);
}

static void check_outcome(const struct framing_reply *reply, enum nacos_version version,
			  enum nacos_call call)
{
	struct nacos_outcome o;
	char *body = fuzz_copy((const uint8_t *)reply->body, reply->n_body);

	nacos_judge(version, call, reply->status, body, reply->n_body, &o);
	free(body);
	FUZZ_CHECK(o.verdict >= NACOS_OK && o.verdict <= NACOS_NO_API);
	FUZZ_CHECK(memchr(o.text, '\0', sizeof(o.text)));
	FUZZ_CHECK(fuzz_is_line(o.text));
	FUZZ_CHECK((o.verdict == NACOS_OK) == (o.text[0] == '\0'));
	FUZZ_CHECK(o.verdict == NACOS_OK || call == NACOS_BEAT || o.interval_ms == 0);
	/* Nothing but a 200 has an instance beaten, registered or forgotten; v3 may say "not found" by 400 or 404. */
	FUZZ_CHECK(reply->status == 200 || o.verdict != NACOS_OK);
	FUZZ_CHECK(o.verdict != NACOS_UNKNOWN ||
		   (call == NACOS_BEAT && (reply->status == 200 || version == NACOS_V3)));
}

static void note(struct heard *h, const struct framing_reply *reply)
{
	FUZZ_CHECK(reply->status >= 200);
	FUZZ_CHECK(reply->n_body <= HTTP_BODY_MAX && reply->body[reply->n_body] == '\0');
	add(h, &reply->status, sizeof(reply->status));
	add(h, &reply->close, sizeof(reply->close));
	add(h, &reply->n_body, sizeof(reply->n_body));
	add(h, reply->body, reply->n_body);
	h->n_replies++;
	for (int call = NACOS_REGISTER; call <= NACOS_BEAT; call++) {
		check_outcome(reply, NACOS_V1, (enum nacos_call)call);
		check_outcome(reply, NACOS_V3, (enum nacos_call)call);
	}
}

static void hear_piece(struct heard *h, struct framing *f, const uint8_t *bytes, size_t n)
{
	char *piece = fuzz_copy(bytes, n);
	struct framing_reply reply;
	size_t at = 0;

	while (at < n && h->error == 0) {
		size_t consumed;
		int r = framing_feed(f, piece + at, n - at, &consumed, &reply);

		FUZZ_CHECK(consumed <= n - at);
		at += consumed;
		if (r == FRAMING_REPLY)
			note(h, &reply);
		else if (r < 0)
			h->error = r;
		else
			FUZZ_CHECK(r == FRAMING_MORE && at == n);
	}
	free(piece);
}

/* pace 0: in one piece; else pieces of 1 to pace bytes, which follow from the bytes before them. */
static struct heard hear(struct framing *f, const uint8_t *data, size_t size, uint32_t pace)
{
	struct heard h = { 0 };
	struct framing_reply reply;
	uint32_t dice = (uint32_t)size;

	framing_reset(f);
	for (size_t at = 0; at < size && h.error == 0;) {
		size_t n = size - at;

		if (pace > 0 && n > 1 + dice % pace)
			n = 1 + dice % pace;
		hear_piece(&h, f, data + at, n);
		at += n;
		dice = dice * 1664525u + 1013904223u + data[at - 1];
	}
	if (h.error == 0) {
		int r = framing_end(f, &reply);

		if (r == FRAMING_REPLY)
			note(&h, &reply);
		else if (r < 0)
			h.error = r;
	}
	h.why = framing_error(f);
	FUZZ_CHECK(h.error == 0 || (h.error == -EBADMSG && h.why[0]));
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t paces[] = { 1, 7, 1000 };
	struct framing *f;
	struct heard whole;

	FUZZ_CHECK(framing_new(&f) == 0);
	whole = hear(f, data, size, 0);
	for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]); i++) {
		struct heard pieces = hear(f, data, size, paces[i]);

		FUZZ_CHECK(pieces.n_replies == whole.n_replies);
		FUZZ_CHECK(pieces.sum == whole.sum);
		FUZZ_CHECK(pieces.error == whole.error);
		FUZZ_CHECK(strcmp(pieces.why, whole.why) == 0);
	}
	framing_free(f);
	return 0;
}
