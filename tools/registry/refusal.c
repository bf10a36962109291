/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals of calls on instances
 *
 * The same fault is told in two voices: v1 answers with text and a status that depends on the
 * mode, v2 and v3 with a wrapped code. Handlers that serve all of them say what is wrong, and
 * this says how it sounds.
 */
#include "refusal.h"

#include "api.h"
#include "mode.h"
#include "respond.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
	int old_status; /* of v1, in the mode that wraps its texts */
	int v1_status;
	int status; /* of v2 and v3 */
	enum respond_code code;
} shapes[] = {
	[REFUSAL_MISSING] = { 400, 400, 400, CODE_PARAMETER_MISSING },
	[REFUSAL_VALUE] = { 400, 400, 500, CODE_SERVER_ERROR },
	[REFUSAL_ILLEGAL] = { 400, 400, 400, CODE_PARAMETER_INVALID },
	[REFUSAL_METADATA] = { 500, 500, 500, CODE_METADATA },
	[REFUSAL_WEIGHT] = { 500, 400, 400, CODE_WEIGHT },
	[REFUSAL_INSTANCE] = { 400, 400, 400, CODE_INSTANCE },
	[REFUSAL_UNKNOWN] = { 500, 404, 404, CODE_NOT_FOUND },
	[REFUSAL_NO_SERVICE] = { 400, 400, 404, CODE_SERVICE_UNKNOWN },
	[REFUSAL_FAILURE] = { 500, 500, 500, CODE_SERVER_ERROR },
	[REFUSAL_MEMORY] = { 503, 503, 503, CODE_SERVER_ERROR },
};

void refuse(const struct api *api, const struct api_request *req, struct api_reply *out,
	    enum refusal why, const char *fmt, ...)
{
	char text[RESPOND_MESSAGE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (!req->is_v1)
		respond_result(out, shapes[why].status, shapes[why].code, text);
	else
		respond_error(api->mode, out,
			      api->mode->wraps_texts ? shapes[why].old_status
						     : shapes[why].v1_status,
			      "%s", text);
}

void refuse_missing(const struct api *api, const struct api_request *req, struct api_reply *out,
		    const char *name, const char *java_type)
{
	if (req->is_v1)
		refuse(api, req, out, REFUSAL_MISSING, "Param '%s' is required.", name);
	else
		refuse(api, req, out, REFUSAL_MISSING,
		       "Required parameter '%s' type %s is not present", name, java_type);
}

void refuse_number(const struct api *api, const struct api_request *req, struct api_reply *out,
		   const char *text)
{
	refuse(api, req, out, REFUSAL_VALUE, "For input string: \"%s\"", text);
}
