/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an end means
 *
 * Between the lanes, which know transport, and the machine, which knows neither HTTP nor texts: the reply is
 * judged, the reason is kept where status lines and tools read it, and the log is told what is new. The sender's
 * thread only.
 */
#include "http/verdict.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* True when it is news: the same trouble again is not worth a line. */
static bool keep_note(struct beat *beat, int code, const char *text)
{
	struct beat_note *note = NULL;

	atomic_store_explicit(&beat->code, (uint32_t)code, memory_order_relaxed);
	if (!text[0] && !beat->note)
		return false;
	if (text[0]) {
		if (beat->note && strncmp(beat->note->text, text, sizeof(note->text) - 1) == 0)
			return false;
		note = calloc(1, sizeof(*note));
		if (!note)
			return false;
		note->code = code;
		snprintf(note->text, sizeof(note->text), "%s", text);
	}
	beat_set_note(beat, note);
	return true;
}

static enum machine_outcome outcome_of(const struct nacos_outcome *o)
{
	switch (o->verdict) {
	case NACOS_OK:
		return MACHINE_OK;
	case NACOS_UNKNOWN:
		return MACHINE_UNKNOWN;
	case NACOS_REFUSED:
		return MACHINE_REFUSED;
	case NACOS_DENIED:
	case NACOS_FAILED:
	case NACOS_NO_API:
		break;
	}
	return MACHINE_FAILED;
}

/* Which API was asked for is what people need to know; what the server says is mostly "Not Found". */
static void say_no_api(const struct registry *registry, enum nacos_version asked,
		       struct nacos_outcome *o)
{
	char said[sizeof(o->text)];

	snprintf(said, sizeof(said), "%s", o->text);
	if (registry->choice.fixed)
		snprintf(o->text, sizeof(o->text), "no API %s, the one configured, here: %.80s",
			 nacos_version_name(asked), said);
	else
		snprintf(o->text, sizeof(o->text), "neither API v1 nor v3 here: %.90s", said);
}

/* Which server it was, or that none was asked: the reason alone leaves people to guess. */
static void note_silence(const struct registry *registry, struct beat *beat,
			 const struct http_result *result)
{
	char text[BEAT_NOTE_SIZE];

	if (result->n_tried > 0)
		snprintf(text, sizeof(text), "%.60s: %s", result->node, result->why);
	else
		snprintf(text, sizeof(text), "registry '%.40s': %s", registry->options.name,
			 result->why);
	keep_note(beat, 0, text);
}

enum machine_outcome verdict_of(struct registry *registry, struct beat *beat, enum nacos_call call,
				const struct http_result *result, struct nacos_outcome *o)
{
	enum nacos_version asked;

	if (result->end != HTTP_ANSWERED) {
		note_silence(registry, beat, result);
		return result->end == HTTP_LOST ? MACHINE_LOST : MACHINE_FAILED;
	}
	asked = (enum nacos_version)(call == NACOS_BEAT ? beat->request_api : beat->write_api);
	nacos_judge(asked, call, result->status, result->body, result->n_body, o);
	if (call == NACOS_REGISTER && o->head_refused && beat->long_head && !beat->head_refused) {
		beat->head_refused = true;
		return MACHINE_AGAIN;
	}
	if (o->verdict == NACOS_NO_API) {
		if (registry_no_api(registry, asked, clock_now_ms()))
			return MACHINE_AGAIN;
		say_no_api(registry, asked, o);
	}
	if (o->verdict == NACOS_DENIED && registry_denied(registry, clock_now_ms()))
		return MACHINE_AGAIN;
	/* A refused register is told as what it makes of the instance. */
	if (keep_note(beat, o->code, o->text) && o->verdict != NACOS_OK &&
	    o->verdict != NACOS_UNKNOWN && (o->verdict != NACOS_REFUSED || call != NACOS_REGISTER))
		log_warning("registry.answer",
			    "registry=%s node=%s status=%d code=%d text=%s next=\"tried again\"",
			    registry->options.name, result->node, result->status, o->code,
			    LOG_Q(o->text));
	return outcome_of(o);
}
