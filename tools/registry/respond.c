/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes of replies
 *
 * An official server has four layers that report errors, each in its own way: the container
 * (HTML), filters (an error page: JSON, or HTML by Accept), the parameter check (text without a
 * Content-Type) and controllers (text, which 1.4 wraps). Successes are "ok" with a length, or
 * JSON in chunks. Clients meet all of these, so each has its function here and handlers only say
 * which layer is speaking.
 */
#include "respond.h"

#include "api.h"
#include "mode.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char text_type[] = "text/plain;charset=UTF-8";
static const char html_type[] = "text/html;charset=utf-8";

static void start(struct api_reply *out, int status, const char *type, bool chunked)
{
	sbuf_deinit(&out->body);
	sbuf_add(&out->body, "");
	out->status = status;
	out->type = type;
	out->chunked = chunked;
}

void respond_text(struct api_reply *out, const char *text)
{
	start(out, MHD_HTTP_OK, text_type, false);
	sbuf_add(&out->body, text);
}

void respond_json(struct api_reply *out)
{
	start(out, MHD_HTTP_OK, "application/json", true);
}

void respond_page(struct api_reply *out)
{
	start(out, MHD_HTTP_OK, html_type, false);
}

static const char *code_name(enum respond_code code)
{
	switch (code) {
	case CODE_OK:
		return "success";
	case CODE_PARAMETER_MISSING:
		return "parameter missing";
	case CODE_PARAMETER_INVALID:
		return "parameter validate error";
	case CODE_NOT_FOUND:
		return "resource not found";
	case CODE_WEIGHT:
		return "weight error";
	case CODE_METADATA:
		return "instance metadata error";
	case CODE_INSTANCE_UNKNOWN:
		return "instance not found";
	case CODE_INSTANCE:
		return "instance error";
	case CODE_SERVICE_UNKNOWN:
		return "service not exist";
	case CODE_SERVER_ERROR:
		break;
	}
	return "server error";
}

void respond_result(struct api_reply *out, int status, enum respond_code code, const char *data)
{
	/* What nobody has foreseen stands in the message itself. */
	bool unforeseen = code == CODE_SERVER_ERROR && data;

	start(out, status, "application/json", true);
	sbuf_fmt(&out->body, "{\"code\":%d,\"message\":", (int)code);
	sbuf_json(&out->body, unforeseen ? data : code_name(code));
	sbuf_add(&out->body, ",\"data\":");
	if (data && !unforeseen)
		sbuf_json(&out->body, data);
	else
		sbuf_add(&out->body, "null");
	sbuf_add(&out->body, "}");
}

void respond_data(struct api_reply *out)
{
	respond_json(out);
	sbuf_add(&out->body, "{\"code\":0,\"message\":\"success\",\"data\":");
}

void respond_error(const struct mode *mode, struct api_reply *out, int status, const char *fmt, ...)
{
	char message[RESPOND_MESSAGE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	start(out, status, text_type, false);
	sbuf_fmt(&out->body, mode->wraps_texts ? "caused: %s;" : "%s", message);
}

void respond_missing(const struct mode *mode, struct api_reply *out, const char *name)
{
	respond_error(mode, out, MHD_HTTP_BAD_REQUEST, "Param '%s' is required.", name);
}

void respond_param_error(struct api_reply *out, const char *fmt, ...)
{
	char message[RESPOND_MESSAGE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	start(out, MHD_HTTP_BAD_REQUEST, NULL, false);
	sbuf_fmt(&out->body, "%s\r\n", message);
}

void respond_error_page(const struct api_request *req, struct api_reply *out, int status,
			const char *fmt, ...)
{
	char message[RESPOND_MESSAGE_MAX], when[32];
	struct timespec now;
	struct tm utc;
	va_list args;

	if (req->accept && strncmp(req->accept, "text/html", strlen("text/html")) == 0) {
		respond_html(out, status);
		return;
	}
	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(when, sizeof(when), "%FT%T", &utc);

	start(out, status, "application/json", true);
	sbuf_fmt(&out->body, "{\"timestamp\":\"%s.%03ld+00:00\",\"status\":%d,\"error\":", when,
		 now.tv_nsec / 1000000, status);
	sbuf_json(&out->body, MHD_get_reason_phrase_for((unsigned int)status));
	sbuf_add(&out->body, ",\"message\":");
	sbuf_json(&out->body, message);
	sbuf_add(&out->body, ",\"path\":");
	sbuf_json(&out->body, req->path);
	sbuf_add(&out->body, "}");
}

void respond_html(struct api_reply *out, int status)
{
	const char *reason = MHD_get_reason_phrase_for((unsigned int)status);

	start(out, status, html_type, false);
	sbuf_fmt(&out->body,
		 "<!doctype html><html lang=\"en\"><head><title>%d %s</title></head>"
		 "<body><h1>%d %s</h1></body></html>",
		 status, reason, status, reason);
}
