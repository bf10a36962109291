/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading back: detail, list, service list, health
 *
 * Lists show what is stored at this moment: official servers of 2 and later rebuild theirs half
 * a second later, which a test can only suffer from. Order is that of registration. The list of
 * 1.4 calls every instance healthy when none is, because its protect threshold of 0 is then
 * reached.
 */
#include "v1_read.h"

#include "api.h"
#include "form.h"
#include "mode.h"
#include "refusal.h"
#include "respond.h"
#include "scalar.h"
#include "view.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

static const char *plain_name(const char *service)
{
	return strstr(service, "@@") + 2;
}

static void put_detail(struct sbuf *b, const struct store_instance *inst)
{
	view_member(b, "{", "service", inst->service->name);
	view_member(b, ",", "ip", inst->ip);
	sbuf_fmt(b, ",\"port\":%d", inst->port);
	view_member(b, ",", "clusterName", inst->cluster);
	view_weight(b, inst);
	sbuf_fmt(b, ",\"healthy\":%s,\"instanceId\":", view_bool(inst->healthy));
	view_instance_id(b, inst);
	sbuf_fmt(b, ",\"metadata\":%s}", metamap_json(&inst->metadata));
}

/* Cluster, ip and port must all match. Newer servers look among ephemeral instances only. */
const struct store_instance *v1_read_match(const struct api *api, const struct store_service *svc,
					   const struct api_request *req, bool *has_cluster)
{
	const char *cluster = form_cluster(req, "DEFAULT");
	const char *ip = formdata_or(&req->params, "ip", "");
	const struct store_instance *inst;
	int port = -1;

	scalar_int(formdata_or(&req->params, "port", ""), &port);
	*has_cluster = false;
	if (!svc || (api->mode->one_kind && !svc->ephemeral))
		return NULL;
	for (inst = TAILQ_FIRST(&svc->instances); inst; inst = TAILQ_NEXT(inst, link)) {
		if (strcmp(inst->cluster, cluster) != 0)
			continue;
		*has_cluster = true;
		if (inst->port == port && strcmp(inst->ip, ip) == 0)
			return inst;
	}
	return NULL;
}

void v1_read_instance(struct api *api, const struct api_request *req, struct api_reply *out)
{
	int status = api->mode->wraps_texts ? MHD_HTTP_INTERNAL_SERVER_ERROR : MHD_HTTP_NOT_FOUND;
	static const char *const required[] = { "serviceName", "ip", "port" };
	const struct store_instance *inst;
	const struct store_service *svc;
	bool has_cluster;

	for (size_t i = 0; i < 3; i++) {
		if (!formdata_or(&req->params, required[i], NULL)) {
			respond_missing(api->mode, out, required[i]);
			return;
		}
	}
	svc = store_service(&api->store, formdata_or(&req->params, "namespaceId", "public"),
			    req->service);
	inst = v1_read_match(api, svc, req, &has_cluster);
	if (inst) {
		respond_json(out);
		put_detail(&out->body, inst);
	} else if (!svc && api->mode->wraps_texts) {
		respond_error(api->mode, out, status, "no service %s found!", req->service);
	} else if (!has_cluster) {
		respond_error(api->mode, out, status, "no ips found for cluster %s in service %s",
			      formdata_or(&req->params, "clusterName", "DEFAULT"), req->service);
	} else {
		respond_error(api->mode, out, status, "no matched ip found!");
	}
}

/* One host as 1.4 lists it. Java clients of 1.0.0 and later get the grouped name. */
static void put_host_14(struct sbuf *b, const struct store_instance *inst, bool healthy,
			const char *name)
{
	view_member(b, "{", "ip", inst->ip);
	sbuf_fmt(b, ",\"port\":%d,\"valid\":%s,\"healthy\":%s,\"marked\":false,\"instanceId\":",
		 inst->port, view_bool(healthy), view_bool(healthy));
	view_instance_id(b, inst);
	sbuf_fmt(b, ",\"metadata\":%s,\"enabled\":true", metamap_json(&inst->metadata));
	view_weight(b, inst);
	view_member(b, ",", "clusterName", inst->cluster);
	view_member(b, ",", "serviceName", name);
	sbuf_fmt(b, ",\"ephemeral\":%s}", view_bool(inst->ephemeral));
}

bool v1_read_in_clusters(const char *list, const char *cluster)
{
	size_t n = strlen(cluster);

	if (!*list)
		return true;
	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, cluster, n) == 0 && (at[n] == ',' || at[n] == '\0'))
			return true;
	}
	return false;
}

static bool nobody_healthy(const struct store_service *svc, const char *clusters)
{
	const struct store_instance *inst;

	for (inst = TAILQ_FIRST(&svc->instances); inst; inst = TAILQ_NEXT(inst, link))
		if (inst->healthy && v1_read_in_clusters(clusters, inst->cluster))
			return false;
	return true;
}

/* Disabled instances are left out; `name` is how 1.4 calls the service. */
static void put_hosts(const struct api *api, const struct api_request *req, struct sbuf *b,
		      const struct store_service *svc, const char *clusters, const char *name)
{
	bool healthy_only = strcasecmp(formdata_or(&req->params, "healthyOnly", "false"), "true") ==
			    0;
	bool pretend = svc && api->mode->hides_ill_health && nobody_healthy(svc, clusters);
	const struct store_instance *inst;
	const char *comma = "";

	sbuf_add(b, "\"hosts\":[");
	for (inst = svc ? TAILQ_FIRST(&svc->instances) : NULL; inst;
	     inst = TAILQ_NEXT(inst, link)) {
		bool healthy = inst->healthy || pretend;

		if (!inst->enabled || (healthy_only && !healthy) ||
		    !v1_read_in_clusters(clusters, inst->cluster))
			continue;
		sbuf_add(b, comma);
		comma = ",";
		if (name)
			put_host_14(b, inst, healthy, name);
		else
			view_instance(b, inst, true);
	}
	sbuf_add(b, "]");
}

static uint64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void list_14(const struct api *api, const struct api_request *req, struct sbuf *b,
		    const struct store_service *svc, const char *clusters)
{
	const char *dom = api_is_java_client(req) ? req->service : plain_name(req->service);

	view_member(b, "{", "name", req->service);
	view_member(b, ",", "clusters", clusters);
	sbuf_add(b, ",\"cacheMillis\":3000,");
	put_hosts(api, req, b, svc, clusters, dom);
	if (svc) {
		view_member(b, ",", "dom", dom);
		sbuf_fmt(b,
			 ",\"lastRefTime\":%" PRIu64 ",\"checksum\":\"%032" PRIx64 "\","
			 "\"useSpecifiedURL\":false,\"env\":\"\",\"metadata\":{}",
			 wall_ms(), svc->revision);
	}
	sbuf_add(b, "}");
}

void v1_read_put_list(const struct api *api, const struct api_request *req, struct sbuf *b,
		      const struct store_service *svc, const char *clusters)
{
	size_t n_group = (size_t)(strstr(req->service, "@@") - req->service);

	view_member(b, "{", "name", req->service);
	/* The group has passed the parameter check: nothing in it needs escaping. */
	sbuf_fmt(b, ",\"groupName\":\"%.*s\"", (int)n_group, req->service);
	view_member(b, ",", "clusters", clusters);
	sbuf_add(b, ",\"cacheMillis\":10000,");
	put_hosts(api, req, b, svc, clusters, NULL);
	sbuf_fmt(b,
		 ",\"lastRefTime\":%" PRIu64 ",\"checksum\":\"\",\"%s\":false,"
		 "\"reachProtectionThreshold\":false,\"valid\":true}",
		 wall_ms(), api->mode->all_ips);
}

bool v1_read_breaks(const struct api *api, const struct api_request *req,
		    const struct store_service *svc, struct api_reply *out)
{
	const struct store_instance *inst = svc ? TAILQ_FIRST(&svc->instances) : NULL;

	while (inst && !inst->metadata.breaks_lists)
		inst = TAILQ_NEXT(inst, link);
	if (!inst || !api->mode->lists_may_break)
		return false;
	refuse(api, req, out, REFUSAL_FAILURE,
	       "java.lang.String cannot be cast to java.lang.Double");
	return true;
}

void v1_read_list(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *clusters = formdata_or(&req->params, "clusters", "");
	const struct store_service *svc;

	if (!req->service) {
		respond_missing(api->mode, out, "serviceName");
		return;
	}
	svc = store_service(&api->store, formdata_or(&req->params, "namespaceId", "public"),
			    req->service);
	if (v1_read_breaks(api, req, svc, out))
		return;
	respond_json(out);
	if (api->mode->all_ips)
		v1_read_put_list(api, req, &out->body, svc, clusters);
	else
		list_14(api, req, &out->body, svc, clusters);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The plain names of a group's services, sorted; the caller frees the array. */
static size_t names_in_group(const struct api *api, const char *namespace_id, const char *group,
			     const char ***out)
{
	const char **names = calloc(api->store.services.n_nodes + 1, sizeof(*names));
	bool all = !api->mode->one_kind && strcmp(group, "*") == 0;
	size_t n_group = strlen(group), n = 0;
	const struct store_service *svc;

	for (svc = TAILQ_FIRST(&api->store.all); svc; svc = TAILQ_NEXT(svc, link)) {
		if (!names || strcmp(svc->namespace_id, namespace_id) != 0)
			continue;
		if (all || (strncmp(svc->name, group, n_group) == 0 &&
			    strncmp(svc->name + n_group, "@@", 2) == 0))
			names[n++] = plain_name(svc->name);
	}
	if (names)
		qsort(names, n, sizeof(*names), by_name);
	*out = names;
	return n;
}

void v1_read_services(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *page_no = formdata_or(&req->params, "pageNo", NULL),
		   *page_size = formdata_or(&req->params, "pageSize", NULL);
	const char **names;
	size_t n, size, first, shown = 0;

	if (!page_no || !page_size) {
		respond_missing(api->mode, out, page_no ? "pageSize" : "pageNo");
		return;
	}
	n = names_in_group(api, formdata_or(&req->params, "namespaceId", "public"),
			   formdata_or(&req->params, "groupName", "DEFAULT_GROUP"), &names);
	size = (size_t)strtoul(page_size, NULL, 10) & INT32_MAX;
	first = (size_t)strtoul(page_no, NULL, 10) & INT32_MAX;
	first = first ? (first - 1) * size : 0;
	respond_json(out);
	sbuf_fmt(&out->body, "{\"count\":%zu,\"doms\":[", n);
	for (size_t i = first; i < n && shown < size; i++, shown++) {
		sbuf_add(&out->body, shown ? "," : "");
		sbuf_json(&out->body, names[i]);
	}
	sbuf_add(&out->body, "]}");
	free(names);
}

void v1_read_metrics(struct api *api, const struct api_request *req, struct api_reply *out)
{
	size_t n_services = api->store.services.n_nodes, n_instances = api->store.instances.n_nodes;
	double load = 0.0, cpu;
	struct sysinfo info;

	respond_json(out);
	if (!api->mode->wraps_texts &&
	    strcasecmp(formdata_or(&req->params, "onlyStatus", "true"), "false") != 0) {
		sbuf_add(&out->body, "{\"status\":\"UP\"}");
		return;
	}
	getloadavg(&load, 1);
	cpu = load / (double)sysconf(_SC_NPROCESSORS_ONLN);
	if (sysinfo(&info) != 0)
		info = (struct sysinfo){ .totalram = 1, .freeram = 1 };
	sbuf_fmt(&out->body,
		 "{\"status\":\"UP\",\"serviceCount\":%zu,\"instanceCount\":%zu,"
		 "\"raftNotifyTaskCount\":0,\"responsibleServiceCount\":%zu,"
		 "\"responsibleInstanceCount\":%zu,\"cpu\":%.8f,\"load\":%.8f,\"mem\":%.8f}",
		 n_services, n_instances, n_services, n_instances, cpu < 1.0 ? cpu : 1.0, load,
		 1.0 - (double)info.freeram / (double)info.totalram);
}

void v1_read_health(struct api *api, const struct api_request *req, struct api_reply *out)
{
	(void)api;
	(void)req;
	respond_text(out, "OK");
}

/* What a client can tell the version by. */
void v1_read_state(struct api *api, const struct api_request *req, struct api_reply *out)
{
	(void)req;
	respond_json(out);
	sbuf_fmt(&out->body,
		 "{\"version\":\"%s\",\"standalone_mode\":\"standalone\","
		 "\"function_mode\":null}",
		 api->mode->version);
}
