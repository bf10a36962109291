/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes, and what stands before them
 *
 * A request passes the layers of an official server in their order: the route decides whether the
 * call exists in this mode, the name filter puts group and service together, the parameter check
 * of newer servers looks at everything, and the handler does the work. Calls that version 3 has
 * moved to its admin API are refused with 410.
 */
#include "api.h"

#include "check.h"
#include "mode.h"
#include "page.h"
#include "respond.h"
#include "v1_read.h"
#include "v1_write.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS "/nacos/v1/ns/"
#define INSTANCE NS "instance"
#define CONSOLE_HEALTH "/nacos/v1/console/health/"
#define V3_STATE "/nacos/v3/admin/core/state/"

struct route {
	const char *method;
	const char *path;
	unsigned int modes;
	enum api_kind kind;
	enum check_set check;
	void (*serve)(struct api *api, const struct api_request *req, struct api_reply *out);
};

static const struct route routes[] = {
	{ "PUT", INSTANCE "/beat", MODE_ALL, API_BEAT, CHECK_BEAT, v1_write_beat },
	{ "POST", INSTANCE, MODE_ALL, API_REGISTER, CHECK_INSTANCE, v1_write_register },
	{ "DELETE", INSTANCE, MODE_ALL, API_DEREGISTER, CHECK_INSTANCE, v1_write_deregister },
	{ "PUT", INSTANCE, MODE_14, API_OTHER, CHECK_INSTANCE, v1_write_update },
	{ "GET", INSTANCE, MODE_14 | MODE_2, API_OTHER, CHECK_INSTANCE, v1_read_instance },
	{ "GET", INSTANCE "/list", MODE_ALL, API_LIST, CHECK_LIST, v1_read_list },
	{ "GET", NS "service/list", MODE_ALL, API_OTHER, CHECK_INSTANCE, v1_read_services },
	{ "GET", NS "operator/metrics", MODE_ALL, API_OTHER, CHECK_NOTHING, v1_read_metrics },
	{ "GET", NS "ops/metrics", MODE_ALL, API_OTHER, CHECK_NOTHING, v1_read_metrics },
	{ "GET", CONSOLE_HEALTH "readiness", MODE_14 | MODE_2, API_OTHER, CHECK_NOTHING,
	  v1_read_health },
	{ "GET", CONSOLE_HEALTH "liveness", MODE_14 | MODE_2, API_OTHER, CHECK_NOTHING,
	  v1_read_health },
	{ "GET", V3_STATE "readiness", MODE_3, API_OTHER, CHECK_NOTHING, v1_read_health_v3 },
	{ "GET", V3_STATE "liveness", MODE_3, API_OTHER, CHECK_NOTHING, v1_read_health_v3 },
	{ "GET", "/", MODE_ALL, API_OWN, CHECK_NOTHING, page_instances },
	{ "GET", "/onebeat/stats", MODE_ALL, API_OWN, CHECK_NOTHING, page_stats },
};

/* What version 3 refuses; a path that ends in "/" stands for all below it. */
static const struct gone {
	const char *method; /* NULL is any */
	const char *path;
	const char *instead; /* NULL: no successor is named */
} gone[] = {
	{ "GET", INSTANCE, "GET ${contextPath:nacos}/v3/admin/ns/instance" },
	{ "PUT", INSTANCE, "PUT ${contextPath:nacos}/v3/admin/ns/instance" },
	{ "PATCH", INSTANCE, NULL },
	{ NULL, INSTANCE "/statuses", NULL },
	{ NULL, INSTANCE "/metadata/", NULL },
	{ "POST", "/nacos/v2/ns/instance", "POST ${contextPath:nacos}/v3/admin/ns/instance" },
	{ NULL, "/nacos/v2/", NULL },
};

int api_init(struct api *api, const struct mode *mode, double time_scale)
{
	*api = (struct api){ .mode = mode, .time_scale = time_scale };
	return store_init(&api->store, mode);
}

void api_deinit(struct api *api)
{
	store_deinit(&api->store);
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

bool api_is_java_client(const struct api_request *req)
{
	static const char name[] = "Nacos-Java-Client:v";
	const char *ua = req->user_agent ? req->user_agent : "";

	return starts_with(ua, name) && ua[strlen(name)] >= '1' && ua[strlen(name)] <= '9';
}

static const struct gone *find_gone(const struct api *api, const struct api_request *req)
{
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		const struct gone *g = &gone[i];
		bool below = g->path[strlen(g->path) - 1] == '/';

		if (g->method && strcmp(g->method, req->method) != 0)
			continue;
		if (below ? starts_with(req->path, g->path) : strcmp(req->path, g->path) == 0)
			return api->mode->bit & MODE_3 ? g : NULL;
	}
	return NULL;
}

static void answer_gone(const struct api_request *req, const struct gone *g, struct api_reply *out)
{
	static const char setting[] =
		"set `nacos.core.api.compatibility.admin.enabled=true` in application.properties.";

	if (g->instead)
		respond_error_page(req, out, MHD_HTTP_GONE,
				   "{\"code\":40000,\"message\":\"Current API will be deprecated, "
				   "please use API(s) `%s` instead, or %s\"}",
				   g->instead, setting);
	else
		respond_error_page(
			req, out, MHD_HTTP_GONE,
			"{\"code\":40000,\"message\":\"Current API will be deprecated, If "
			"wanted continue to use, please %s\"}",
			setting);
}

static void answer_no_route(const struct api *api, const struct api_request *req,
			    struct api_reply *out)
{
	const struct gone *g = find_gone(api, req);

	if (g)
		answer_gone(req, g, out);
	else if (starts_with(req->path, NS))
		respond_error_page(req, out, MHD_HTTP_NOT_IMPLEMENTED, "no such api:%s:%s",
				   req->method, req->path);
	else if (!starts_with(req->path, "/nacos/"))
		respond_html(out, MHD_HTTP_NOT_FOUND);
	else if (api->mode->names_endpoint)
		respond_error_page(req, out, MHD_HTTP_NOT_FOUND, "No endpoint %s %s.", req->method,
				   req->path);
	else
		respond_error_page(req, out, MHD_HTTP_NOT_FOUND, "No message available");
}

static const struct route *find_route(const struct api *api, const struct api_request *req)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if ((routes[i].modes & api->mode->bit) && strcmp(routes[i].path, req->path) == 0 &&
		    strcmp(routes[i].method, req->method) == 0)
			return &routes[i];
	return NULL;
}

/* Puts "GROUP@@name" together; a request without serviceName passes. */
static bool join_name(const struct api *api, struct api_request *req, struct api_reply *out)
{
	const char *name = formdata_get(&req->params, "serviceName");
	const char *group = formdata_get(&req->params, "groupName");
	static const char rule[] =
		"Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'";
	const char *split;

	if (!name)
		return true;
	if (strstr(name, "@@"))
		req->service = strdup(name);
	else if (asprintf(&req->service, "%s@@%s", group ? group : "DEFAULT_GROUP", name) < 0)
		req->service = NULL;
	if (!req->service) {
		respond_error(api->mode, out, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return false;
	}
	split = strstr(req->service, "@@");
	if (split != req->service && split[2] != '\0')
		return true;
	if (api->mode->wraps_texts)
		respond_error(api->mode, out, MHD_HTTP_BAD_REQUEST, "%s", rule);
	else
		respond_error_page(req, out, MHD_HTTP_BAD_REQUEST, "%s", rule);
	return false;
}

void api_serve(struct api *api, struct api_request *req, struct api_reply *out)
{
	const struct route *route = find_route(api, req);

	if (!route) {
		answer_no_route(api, req, out);
		return;
	}
	out->kind = route->kind;
	if (join_name(api, req, out) &&
	    (!api->mode->param_check || check_params(req, route->check, out)))
		route->serve(api, req, out);
	free(req->service);
	req->service = NULL;
}
