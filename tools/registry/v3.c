/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The v3 calls: the client's, and those of the admin API that read
 *
 * One POST registers and, with heartBeat=true, renews. Renewing never registers: what is not there
 * is told by a code inside a 200.
 */
#include "v3.h"

#include "api.h"
#include "form.h"
#include "mode.h"
#include "refusal.h"
#include "respond.h"
#include "scalar.h"
#include "v1_read.h"
#include "v2.h"
#include "view.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

static void renew(struct api *api, const struct api_request *req, struct api_reply *out)
{
	struct store_instance *inst;
	struct store_spec spec;

	out->kind = API_BEAT;
	if (form_spec(api, req, &spec, out)) {
		spec.key.ephemeral = true; /* a persistent one is not found */
		inst = store_find(&api->store, &spec.key);
		if (inst)
			store_beat(inst, req->now_ms);
		out->beat_code = inst ? 0 : CODE_INSTANCE_UNKNOWN;
		respond_result(out, MHD_HTTP_OK, inst ? CODE_OK : CODE_INSTANCE_UNKNOWN,
			       inst ? "ok" : NULL);
	}
	metamap_deinit(&spec.metadata);
}

void v3_register(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *text = formdata_or(&req->params, "heartBeat", "false");
	bool is_beat;

	if (!scalar_strict_bool(text, &is_beat))
		refuse(api, req, out, REFUSAL_VALUE, "Invalid boolean value [%s]", text);
	else if (is_beat)
		renew(api, req, out);
	else
		v2_register(api, req, out);
}

/* A bare list; the disabled are left out. */
static void list(const struct api *api, const struct api_request *req, const char *clusters,
		 bool healthy_only, struct api_reply *out)
{
	const struct store_service *svc;
	const struct store_instance *inst;
	const char *comma = "";

	if (!req->service) {
		refuse_missing(api, req, out, "serviceName", "String");
		return;
	}
	svc = store_service(&api->store, formdata_or(&req->params, "namespaceId", "public"),
			    req->service);
	respond_data(out);
	sbuf_add(&out->body, "[");
	for (inst = svc ? TAILQ_FIRST(&svc->instances) : NULL; inst;
	     inst = TAILQ_NEXT(inst, link)) {
		if (!inst->enabled || (healthy_only && !inst->healthy) ||
		    !v1_read_in_clusters(clusters, inst->cluster))
			continue;
		sbuf_add(&out->body, comma);
		comma = ",";
		view_instance(&out->body, inst, false);
	}
	sbuf_add(&out->body, "]}");
}

void v3_list(struct api *api, const struct api_request *req, struct api_reply *out)
{
	list(api, req, form_cluster(req, "DEFAULT"), false, out);
}

void v3_admin_list(struct api *api, const struct api_request *req, struct api_reply *out)
{
	bool healthy_only = scalar_bool(formdata_or(&req->params, "healthyOnly", "false"));

	list(api, req, form_cluster(req, ""), healthy_only, out);
}

static size_t count_healthy(const struct store_service *svc)
{
	const struct store_instance *inst;
	size_t n = 0;

	TAILQ_FOREACH(inst, &svc->instances, link)
	n += inst->healthy;
	return n;
}

static void put_service(struct sbuf *b, const struct store_service *svc)
{
	const char *split = strstr(svc->name, "@@");

	view_member(b, "{", "name", split + 2);
	/* The group has passed the parameter check: nothing in it needs escaping. */
	sbuf_fmt(b,
		 ",\"groupName\":\"%.*s\",\"clusterCount\":1,\"ipCount\":%zu,"
		 "\"healthyInstanceCount\":%zu,\"triggerFlag\":\"false\"}",
		 (int)(split - svc->name), svc->name, svc->n_instances, count_healthy(svc));
}

/* Whether the service is in the group; NULL is any. */
static bool in_group(const struct store_service *svc, const char *group)
{
	size_t n = group ? strlen(group) : 0;

	return !group ||
	       (strncmp(svc->name, group, n) == 0 && strncmp(svc->name + n, "@@", 2) == 0);
}

void v3_admin_services(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *namespace_id = formdata_or(&req->params, "namespaceId", "public");
	const char *group = formdata_or(&req->params, "groupNameParam", NULL);
	size_t page = strtoul(formdata_or(&req->params, "pageNo", "1"), NULL, 10) & INT32_MAX;
	size_t size = strtoul(formdata_or(&req->params, "pageSize", "100"), NULL, 10) & INT32_MAX;
	size_t n = 0, first = page ? (page - 1) * size : 0;
	const struct store_service *svc;

	respond_data(out);
	sbuf_add(&out->body, "{\"pageItems\":[");
	TAILQ_FOREACH(svc, &api->store.all, link)
	{
		if (strcmp(svc->namespace_id, namespace_id) != 0 || !in_group(svc, group))
			continue;
		if (n >= first && n < first + size) {
			sbuf_add(&out->body, n > first ? "," : "");
			put_service(&out->body, svc);
		}
		n++;
	}
	sbuf_fmt(&out->body, "],\"totalCount\":%zu,\"pageNumber\":%zu,\"pagesAvailable\":%zu}}", n,
		 page, size ? (n + size - 1) / size : 0);
}

void v3_admin_metrics(struct api *api, const struct api_request *req, struct api_reply *out)
{
	(void)api;
	(void)req;
	respond_data(out);
	sbuf_add(&out->body, "{\"status\":\"UP\"}}");
}

void v3_admin_state(struct api *api, const struct api_request *req, struct api_reply *out)
{
	(void)req;
	respond_data(out);
	sbuf_fmt(&out->body,
		 "{\"version\":\"%s\",\"startup_mode\":\"standalone\",\"function_mode\":null}}",
		 api->mode->version);
}

void v3_admin_health(struct api *api, const struct api_request *req, struct api_reply *out)
{
	(void)api;
	(void)req;
	respond_result(out, MHD_HTTP_OK, CODE_OK, "ok");
}
