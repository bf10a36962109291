/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that tell of a cluster's members
 *
 * Each node answers what it believes. None of the lists is sorted, as on official servers, so
 * whoever hashes has to sort. A member that has just fallen is SUSPICIOUS for a while, which
 * counts as alive, and then DOWN.
 */
#include "members.h"

#include "api.h"
#include "cluster.h"
#include "mode.h"
#include "respond.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SUSPICIOUS_AFTER_MS = 2000
};

static const char *state_of(const struct api *api, unsigned int i, uint64_t now_ms)
{
	const struct member *m = &api->cluster->members[i];

	if (!cluster_sees(api->cluster, api->node, i, now_ms))
		return "DOWN";
	return m->state != MEMBER_RUNS && now_ms - m->fell_ms > SUSPICIOUS_AFTER_MS ? "SUSPICIOUS"
										    : "UP";
}

static void put_member(const struct api *api, unsigned int i, uint64_t now_ms, struct sbuf *b)
{
	const char *address = api->cluster->members[i].address;
	const char *colon = strrchr(address, ':');

	sbuf_fmt(b, "{\"ip\":\"%.*s\",\"port\":%s,\"state\":\"%s\",", (int)(colon - address),
		 address, colon + 1, state_of(api, i, now_ms));
	sbuf_fmt(
		b,
		"\"extendInfo\":{\"lastRefreshTime\":%llu,\"version\":\"%s\"},\"address\":\"%s\","
		"\"failAccessCnt\":0,\"abilities\":{\"remoteAbility\":{\"supportRemoteConnection\":"
		"false,\"grpcReportEnabled\":false},\"configAbility\":{\"supportRemoteMetrics\":false"
		"},\"namingAbility\":{\"supportJraft\":false}}}",
		(unsigned long long)now_ms, api->mode->version, address);
}

/* Itself first, then the others from the last on. */
static unsigned int nth(const struct api *api, unsigned int n)
{
	unsigned int n_members = api->cluster->n_members;

	return (api->node + n_members - n) % n_members;
}

static void put_members(const struct api *api, uint64_t now_ms, struct sbuf *b)
{
	sbuf_add(b, "[");
	for (unsigned int i = 0; i < api->cluster->n_members; i++) {
		sbuf_add(b, i ? "," : "");
		put_member(api, nth(api, i), now_ms, b);
	}
	sbuf_add(b, "]}");
}

void members_servers(struct api *api, const struct api_request *req, struct api_reply *out)
{
	respond_json(out);
	sbuf_add(&out->body, "{\"servers\":");
	put_members(api, req->now_ms, &out->body);
}

void members_nodes(struct api *api, const struct api_request *req, struct api_reply *out)
{
	respond_json(out);
	sbuf_add(&out->body, "{\"code\":200,\"message\":null,\"data\":");
	put_members(api, req->now_ms, &out->body);
}

void members_simple(struct api *api, const struct api_request *req, struct api_reply *out)
{
	(void)req;
	respond_json(out);
	sbuf_add(&out->body, "{\"code\":200,\"message\":null,\"data\":[");
	for (unsigned int i = 0; i < api->cluster->n_members; i++)
		sbuf_fmt(&out->body, "%s\"%s\"", i ? "," : "",
			 api->cluster->members[nth(api, i)].address);
	sbuf_add(&out->body, "]}");
}

void members_list(struct api *api, const struct api_request *req, struct api_reply *out)
{
	respond_data(out);
	put_members(api, req->now_ms, &out->body);
}

static void answer_owner(const struct api *api, const char *tag, uint64_t now_ms,
			 struct api_reply *out)
{
	unsigned int owner = cluster_owner(api->cluster, api->node, tag, now_ms);

	respond_json(out);
	sbuf_fmt(&out->body, "{\"responsibleServer\":\"%s\"}",
		 api->cluster->members[owner].address);
}

void members_owner_of_service(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *namespace_id = formdata_or(&req->params, "namespaceId", "public");

	if (!req->service)
		respond_missing(api->mode, out, "serviceName");
	else if (!store_service(&api->store, namespace_id, req->service))
		respond_error(api->mode, out, MHD_HTTP_BAD_REQUEST, "service not found");
	else
		answer_owner(api, req->service, req->now_ms, out);
}

void members_owner_of_client(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *ip = formdata_or(&req->params, "ip", NULL);
	const char *port = formdata_or(&req->params, "port", NULL);
	char *tag = NULL;

	if (!ip || !port) {
		respond_missing(api->mode, out, ip ? "port" : "ip");
		return;
	}
	if (asprintf(&tag, "%s:%s", ip, port) < 0) {
		respond_error(api->mode, out, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return;
	}
	answer_owner(api, tag, req->now_ms, out);
	free(tag);
}
