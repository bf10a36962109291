/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that a server of the mode does not have
 *
 * Version 3 refuses older calls with 410 through its error page, naming the successor where there
 * is one. What no version knows is 501 below /v1/ns/ as long as there is a v1, 405 for the wrong
 * method elsewhere, 404 for an unknown path, and HTML outside the context path.
 */
#include "notfound.h"

#include "api.h"
#include "mode.h"
#include "respond.h"

#include <microhttpd.h>
#include <string.h>

#define INSTANCE "/nacos/v1/ns/instance"
#define V3_ADMIN "${contextPath:nacos}/v3/admin/ns/"
#define V3_CLIENT "${contextPath:nacos}/v3/client/ns/"

/* Which switch brings a call back. */
enum gate {
	ADMIN,  /* off in both modes */
	CLIENT, /* off in the mode without v1 */
};

/* A path that ends in "/" stands for all below it. */
static const struct gone {
	enum gate gate;
	const char *method; /* NULL is any */
	const char *path;
	const char *instead; /* NULL: no successor is named */
} gone[] = {
	{ ADMIN, "GET", INSTANCE, "GET " V3_ADMIN "instance" },
	{ ADMIN, "PUT", INSTANCE, "PUT " V3_ADMIN "instance" },
	{ ADMIN, "PATCH", INSTANCE, NULL },
	{ ADMIN, NULL, INSTANCE "/statuses", NULL },
	{ ADMIN, NULL, INSTANCE "/metadata/", NULL },
	{ ADMIN, NULL, "/nacos/v1/ns/operator/distro/", NULL },
	{ ADMIN, NULL, "/nacos/v1/ns/operator/switches", NULL },
	{ ADMIN, NULL, "/nacos/v1/core/", NULL },
	{ ADMIN, "POST", "/nacos/v2/ns/instance", "POST " V3_ADMIN "instance" },
	{ ADMIN, NULL, "/nacos/v2/", NULL },
	{ CLIENT, "POST", INSTANCE, "POST " V3_CLIENT "instance" },
	{ CLIENT, "DELETE", INSTANCE, "DELETE " V3_CLIENT "instance" },
	{ CLIENT, "PUT", INSTANCE "/beat", "POST " V3_CLIENT "instance" },
	{ CLIENT, "GET", INSTANCE "/list", "GET " V3_CLIENT "instance/list" },
	{ CLIENT, "GET", "/nacos/v1/ns/service/list", "GET " V3_ADMIN "service/list" },
	{ CLIENT, "GET", "/nacos/v1/ns/operator/metrics", "GET " V3_ADMIN "ops/metrics" },
	{ CLIENT, "GET", "/nacos/v1/ns/ops/metrics", "GET " V3_ADMIN "ops/metrics" },
	{ CLIENT, NULL, "/nacos/v1/auth/", "POST ${contextPath:nacos}/v3/auth/user/login" },
};

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static bool is_gated(const struct gone *g, const struct api *api, const struct api_request *req)
{
	bool below = g->path[strlen(g->path) - 1] == '/';

	if (!(api->mode->bit & (g->gate == CLIENT ? MODE_3_NO_V1 : MODE_GATES)))
		return false;
	if (g->method && strcmp(g->method, req->method) != 0)
		return false;
	return below ? starts_with(req->path, g->path) : strcmp(req->path, g->path) == 0;
}

static void answer_gone(const struct api_request *req, const struct gone *g, struct api_reply *out)
{
	const char *gate = g->gate == CLIENT ? "client" : "admin";

	if (g->instead)
		respond_error_page(req, out, MHD_HTTP_GONE,
				   "{\"code\":40000,\"message\":\"Current API will be deprecated, "
				   "please use API(s) `%s` instead, or set "
				   "`nacos.core.api.compatibility.%s.enabled=true` in "
				   "application.properties.\"}",
				   g->instead, gate);
	else
		respond_error_page(
			req, out, MHD_HTTP_GONE,
			"{\"code\":40000,\"message\":\"Current API will be deprecated, If "
			"wanted continue to use, please set "
			"`nacos.core.api.compatibility.%s.enabled=true` in "
			"application.properties.\"}",
			gate);
}

bool notfound_gone(const struct api *api, const struct api_request *req, struct api_reply *out)
{
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		if (is_gated(&gone[i], api, req)) {
			answer_gone(req, &gone[i], out);
			return true;
		}
	}
	return false;
}

void notfound(const struct api *api, const struct api_request *req, bool has_path,
	      struct api_reply *out)
{
	if (req->is_v1 && !(api->mode->bit & MODE_32)) {
		respond_error_page(req, out, MHD_HTTP_NOT_IMPLEMENTED, "no such api:%s:%s",
				   req->method, req->path);
	} else if (has_path) {
		respond_error_page(req, out, MHD_HTTP_METHOD_NOT_ALLOWED,
				   "Method '%s' is not supported.", req->method);
	} else if (!starts_with(req->path, "/nacos/")) {
		respond_html(out, MHD_HTTP_NOT_FOUND);
	} else if (api->mode->names_endpoint) {
		respond_error_page(req, out, MHD_HTTP_NOT_FOUND, "No endpoint %s %s.", req->method,
				   req->path);
	} else {
		respond_error_page(req, out, MHD_HTTP_NOT_FOUND, "No message available");
	}
}
