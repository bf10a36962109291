/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes, and what stands before them
 *
 * A request passes the layers of an official server in their order: version 3 gates older calls,
 * the route decides whether the call exists in this mode, whoever calls is asked for a token where
 * the call is secured, the name filter puts group and service together, the parameter check of newer servers looks at everything, and the handler does the
 * work.
 */
#include "api.h"

#include "auth.h"
#include "check.h"
#include "members.h"
#include "mode.h"
#include "notfound.h"
#include "page.h"
#include "respond.h"
#include "v1_read.h"
#include "v1_update.h"
#include "v1_write.h"
#include "v2.h"
#include "v3.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS "/nacos/v1/ns/"
#define INSTANCE NS "instance"
#define CONSOLE "/nacos/v1/console/"
#define CLUSTER "/nacos/v1/core/cluster/"
#define V2_INSTANCE "/nacos/v2/ns/instance"
#define V3_INSTANCE "/nacos/v3/client/ns/instance"
#define V3_ADMIN "/nacos/v3/admin/ns/"
#define V3_STATE "/nacos/v3/admin/core/state"
#define V1_AUTH "/nacos/v1/auth/"

enum access {
	OPEN,
	SECURED, /* where auth is on */
};

struct route {
	const char *method;
	const char *path;
	unsigned int modes;
	enum access access;
	enum api_kind kind;
	enum check_set check;
	void (*serve)(struct api *api, const struct api_request *req, struct api_reply *out);
};

#define MODE_OLD (MODE_14 | MODE_2)

static const struct route routes[] = {
	{ "PUT", INSTANCE "/beat", MODE_V1, SECURED, API_BEAT, CHECK_BEAT, v1_write_beat },
	{ "POST", INSTANCE, MODE_V1, SECURED, API_REGISTER, CHECK_INSTANCE, v1_write_register },
	{ "DELETE", INSTANCE, MODE_V1, SECURED, API_DEREGISTER, CHECK_INSTANCE,
	  v1_write_deregister },
	{ "PUT", INSTANCE, MODE_OLD, SECURED, API_OTHER, CHECK_INSTANCE, v1_update },
	{ "PATCH", INSTANCE, MODE_OLD, SECURED, API_OTHER, CHECK_INSTANCE, v1_patch },
	{ "GET", INSTANCE "/statuses", MODE_OLD, SECURED, API_OTHER, CHECK_INSTANCE, v1_statuses },
	{ "GET", INSTANCE, MODE_OLD, SECURED, API_OTHER, CHECK_INSTANCE, v1_read_instance },
	{ "GET", INSTANCE "/list", MODE_V1, SECURED, API_LIST, CHECK_LIST, v1_read_list },
	{ "GET", NS "service/list", MODE_V1, SECURED, API_OTHER, CHECK_INSTANCE, v1_read_services },
	{ "GET", NS "operator/metrics", MODE_V1, OPEN, API_OTHER, CHECK_NOTHING, v1_read_metrics },
	{ "GET", NS "ops/metrics", MODE_V1, OPEN, API_OTHER, CHECK_NOTHING, v1_read_metrics },
	{ "GET", CONSOLE "health/readiness", MODE_OLD, OPEN, API_OTHER, CHECK_NOTHING,
	  v1_read_health },
	{ "GET", CONSOLE "health/liveness", MODE_OLD, OPEN, API_OTHER, CHECK_NOTHING,
	  v1_read_health },
	{ "GET", CONSOLE "server/state", MODE_OLD, OPEN, API_OTHER, CHECK_NOTHING, v1_read_state },

	{ "PUT", V2_INSTANCE "/beat", MODE_2, SECURED, API_BEAT, CHECK_BEAT, v1_write_beat },
	{ "POST", V2_INSTANCE, MODE_2, SECURED, API_REGISTER, CHECK_INSTANCE, v2_register },
	{ "DELETE", V2_INSTANCE, MODE_2, SECURED, API_DEREGISTER, CHECK_INSTANCE, v2_deregister },
	{ "PUT", V2_INSTANCE, MODE_2, SECURED, API_OTHER, CHECK_INSTANCE, v1_update },
	{ "PATCH", V2_INSTANCE, MODE_2, SECURED, API_OTHER, CHECK_INSTANCE, v1_patch },
	{ "GET", V2_INSTANCE, MODE_2, SECURED, API_OTHER, CHECK_INSTANCE, v2_detail },
	{ "GET", V2_INSTANCE "/list", MODE_2, SECURED, API_LIST, CHECK_INSTANCE, v2_list },

	{ "POST", V3_INSTANCE, MODE_V3, SECURED, API_REGISTER, CHECK_INSTANCE, v3_register },
	{ "DELETE", V3_INSTANCE, MODE_V3, SECURED, API_DEREGISTER, CHECK_INSTANCE, v2_deregister },
	{ "GET", V3_INSTANCE "/list", MODE_V3, SECURED, API_LIST, CHECK_INSTANCE, v3_list },
	{ "GET", V3_ADMIN "instance", MODE_V3, SECURED, API_OTHER, CHECK_INSTANCE, v2_detail },
	{ "PUT", V3_ADMIN "instance", MODE_V3, SECURED, API_OTHER, CHECK_INSTANCE, v1_update },
	{ "GET", V3_ADMIN "instance/list", MODE_V3, SECURED, API_LIST, CHECK_INSTANCE,
	  v3_admin_list },
	{ "GET", V3_ADMIN "service/list", MODE_V3, SECURED, API_OTHER, CHECK_NOTHING,
	  v3_admin_services },
	{ "GET", V3_ADMIN "ops/metrics", MODE_V3, SECURED, API_OTHER, CHECK_NOTHING,
	  v3_admin_metrics },
	{ "GET", V3_STATE, MODE_V3, OPEN, API_OTHER, CHECK_NOTHING, v3_admin_state },
	{ "GET", V3_STATE "/readiness", MODE_V3, OPEN, API_OTHER, CHECK_NOTHING, v3_admin_health },
	{ "GET", V3_STATE "/liveness", MODE_V3, OPEN, API_OTHER, CHECK_NOTHING, v3_admin_health },

	{ "GET", NS "operator/servers", MODE_14, SECURED, API_OTHER, CHECK_NOTHING,
	  members_servers },
	{ "GET", NS "operator/distro/server", MODE_14, SECURED, API_OTHER, CHECK_INSTANCE,
	  members_owner_of_service },
	{ "GET", NS "operator/distro/client", MODE_2, SECURED, API_OTHER, CHECK_NOTHING,
	  members_owner_of_client },
	{ "GET", CLUSTER "nodes", MODE_OLD, SECURED, API_OTHER, CHECK_NOTHING, members_nodes },
	{ "GET", CLUSTER "simple/nodes", MODE_OLD, SECURED, API_OTHER, CHECK_NOTHING,
	  members_simple },
	{ "GET", "/nacos/v2/core/cluster/node/list", MODE_2, SECURED, API_OTHER, CHECK_NOTHING,
	  members_list },
	{ "GET", "/nacos/v3/admin/core/cluster/node/list", MODE_V3, SECURED, API_OTHER,
	  CHECK_NOTHING, members_list },

	{ "POST", V1_AUTH "login", MODE_V1, OPEN, API_OTHER, CHECK_NOTHING, auth_login },
	{ "POST", V1_AUTH "users/login", MODE_V1, OPEN, API_OTHER, CHECK_NOTHING, auth_login },
	{ "POST", "/nacos/v3/auth/user/login", MODE_V3, OPEN, API_OTHER, CHECK_NOTHING,
	  auth_login },

	{ "GET", "/", MODE_ALL, OPEN, API_OWN, CHECK_NOTHING, page_instances },
	{ "GET", "/onebeat/stats", MODE_ALL, OPEN, API_OWN, CHECK_NOTHING, page_stats },
};

int api_init(struct api *api, const struct mode *mode, double time_scale, struct auth *auth)
{
	*api = (struct api){ .mode = mode, .time_scale = time_scale, .auth = auth };
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

static const struct route *find_route(const struct api *api, const struct api_request *req)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if ((routes[i].modes & api->mode->bit) && strcmp(routes[i].path, req->path) == 0 &&
		    strcmp(routes[i].method, req->method) == 0)
			return &routes[i];
	return NULL;
}

/* Collects the methods of a path; false: there is no such path. */
static bool find_path(const struct api *api, const struct api_request *req, struct api_reply *out)
{
	char *text = out->allow;
	size_t size = sizeof(out->allow), len = 0;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if ((routes[i].modes & api->mode->bit) && strcmp(routes[i].path, req->path) == 0)
			len += (size_t)snprintf(text + len, size - len, "%s%s", len ? ", " : "",
						routes[i].method);
	return len > 0;
}

static const char name_rule[] =
	"Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'";

/* v1's name filter: "GROUP@@name" is put together where it is not sent so. */
static bool filter_name(const struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *split = strstr(req->service, "@@");

	if (split != req->service && split[2] != '\0')
		return true;
	if (api->mode->wraps_texts)
		respond_error(api->mode, out, MHD_HTTP_BAD_REQUEST, "%s", name_rule);
	else
		respond_error_page(req, out, MHD_HTTP_BAD_REQUEST, "%s", name_rule);
	return false;
}

/* Names in v2 and v3 are plain, whatever stands in them; v2's beat alone wants them grouped.
 * A request without serviceName passes. */
static bool join_name(const struct api *api, struct api_request *req, struct api_reply *out)
{
	const char *name = formdata_get(&req->params, "serviceName");
	const char *group = formdata_or(&req->params, "groupName", "DEFAULT_GROUP");
	bool is_v2_beat = strcmp(req->path, V2_INSTANCE "/beat") == 0;

	if (!name)
		return true;
	if (is_v2_beat && !strstr(name, "@@")) {
		respond_result(out, MHD_HTTP_BAD_REQUEST, CODE_PARAMETER_INVALID, name_rule);
		return false;
	}
	if ((req->is_v1 || is_v2_beat) && strstr(name, "@@"))
		req->service = strdup(name);
	else if (asprintf(&req->service, "%s@@%s", group, name) < 0)
		req->service = NULL;
	if (!req->service) {
		respond_error(api->mode, out, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return false;
	}
	return !req->is_v1 || filter_name(api, req, out);
}

void api_serve(struct api *api, struct api_request *req, struct api_reply *out)
{
	const struct route *route = find_route(api, req);

	req->is_v1 = starts_with(req->path, NS);
	if (notfound_gone(api, req, out))
		return;
	if (!route) {
		notfound(api, req, find_path(api, req, out), out);
		return;
	}
	out->kind = route->kind;
	if (route->access == SECURED && !auth_admits(api, req, out))
		return;
	if (join_name(api, req, out) &&
	    (!api->mode->param_check || check_params(req, route->check, out)))
		route->serve(api, req, out);
	free(req->service);
	req->service = NULL;
}
