/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_RESPOND_H
#define REGISTRY_RESPOND_H

struct api_reply;
struct api_request;
struct mode;

/* Messages quote what was sent, which has no useful length beyond this. */
enum {
	RESPOND_MESSAGE_MAX = 2048
};

/* Codes of wrapped replies. */
enum respond_code {
	CODE_OK = 0,
	CODE_PARAMETER_MISSING = 10000,
	CODE_PARAMETER_INVALID = 20002,
	CODE_NOT_FOUND = 20004,
	CODE_WEIGHT = 21001,
	CODE_METADATA = 21002,
	CODE_INSTANCE_UNKNOWN = 21003,
	CODE_INSTANCE = 21004,
	CODE_SERVICE_UNKNOWN = 21008,
	CODE_SERVER_ERROR = 30000,
};

/* 200 with a fixed length: "ok" and its like. */
void respond_text(struct api_reply *out, const char *text);
/* 200 and JSON, or a page of our own; the caller writes the body. */
void respond_json(struct api_reply *out);
void respond_page(struct api_reply *out);

/* {"code":…,"message":…,"data":…}, the wrapped form of v2 and v3. The data is a text, or null. */
void respond_result(struct api_reply *out, int status, enum respond_code code, const char *data);
/* The same for success, up to the data, which the caller writes before he closes the brace. */
void respond_data(struct api_reply *out);

/* An error that a controller reports: text, wrapped as the mode does it. */
void respond_error(const struct mode *mode, struct api_reply *out, int status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The commonest one: a required parameter is absent. */
void respond_missing(const struct mode *mode, struct api_reply *out, const char *name);
/* An error that the parameter check reports: text without a type. */
void respond_param_error(struct api_reply *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* An error through the error page: JSON, or HTML for those that prefer it. */
void respond_error_page(const struct api_request *req, struct api_reply *out, int status,
			const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* An error of the HTTP server below: HTML. */
void respond_html(struct api_reply *out, int status);

#endif
