/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cluster does with a request
 *
 * Reads are answered by the node that is asked. A v1 write belongs to the owner of the instance
 * (of the service, in 1.4): another node asks it and hands its reply back, with a length and as
 * JSON whatever it is. A peer that is asked so and takes another for the owner refuses. Writes of
 * v2 and v3 are carried out where they arrive, and only an owner's reach the other nodes.
 *
 * Stores are kept alike by carrying out an owner's writes on every node that runs. So a frozen
 * or killed node misses them, and so each node can expire on its own and agree with the others.
 */
#include "forward.h"

#include "api.h"
#include "cluster.h"
#include "httpd.h"
#include "jsonobj.h"
#include "mode.h"
#include "respond.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V1_INSTANCE "/nacos/v1/ns/instance"

enum {
	TAG_MAX = 1024
};

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static bool is_v1_write(const struct api_request *req)
{
	return strcmp(req->method, "GET") != 0 && starts_with(req->path, V1_INSTANCE);
}

static bool is_later_write(const struct api_request *req)
{
	return strcmp(req->method, "GET") != 0 &&
	       (starts_with(req->path, "/nacos/v2/ns/instance") ||
		starts_with(req->path, "/nacos/v3/client/ns/instance"));
}

/* ip:port out of a full beat's JSON. */
static bool tag_of_beat(const char *beat, char *tag)
{
	struct jsonobj o = JSONOBJ_NULL;
	char *ip = NULL, *port = NULL;
	bool found;

	if (beat && jsonobj_init(&o, beat) == 0) {
		for (int key = jsonobj_first(&o, 0); key; key = jsonobj_next(&o, 0, key)) {
			if (!ip && jsonobj_key_is(&o, key, "ip"))
				ip = jsonobj_text(&o, key + 1);
			else if (!port && jsonobj_key_is(&o, key, "port"))
				port = jsonobj_text(&o, key + 1);
		}
	}
	found = ip && port;
	if (found)
		snprintf(tag, TAG_MAX, "%s:%s", ip, port);
	free(ip);
	free(port);
	jsonobj_deinit(&o);
	return found;
}

/* What the owner is found by. False: the request does not say, and stays where it is. */
static bool tag_of(const struct mode *mode, const struct api_request *req, char *tag)
{
	const struct formdata *p = &req->params;
	const char *name = formdata_get(p, "serviceName");
	const char *ip = formdata_get(p, "ip"), *port = formdata_get(p, "port");

	if (mode->owner_by_service && name) {
		snprintf(tag, TAG_MAX, "%s%s%s",
			 strstr(name, "@@") ? "" : formdata_or(p, "groupName", "DEFAULT_GROUP"),
			 strstr(name, "@@") ? "" : "@@", name);
		return true;
	}
	if (mode->owner_by_service)
		return false;
	if (ip && port) {
		snprintf(tag, TAG_MAX, "%s:%s", ip, port);
		return true;
	}
	return tag_of_beat(formdata_get(p, "beat"), tag);
}

/* Carries out an owner's write on the others as well. */
static void serve_everywhere(struct httpd *s, unsigned int owner, struct api_request *req,
			     struct api_reply *out)
{
	api_serve(&s->nodes[owner].api, req, out);
	if (out->status != MHD_HTTP_OK)
		return;
	for (unsigned int i = 0; i < s->cluster.n_members; i++) {
		struct api_reply unseen = API_REPLY_NULL;

		if (i == owner || s->cluster.members[i].state != MEMBER_RUNS)
			continue;
		api_serve(&s->nodes[i].api, req, &unseen);
		sbuf_deinit(&unseen.body);
	}
}

static void refuse_redirect(const struct api_request *req, struct api_reply *out)
{
	respond_error_page(req, out, MHD_HTTP_BAD_REQUEST,
			   "receive invalid redirect request from peer 127.0.0.1");
}

/* As the node that it is forwarded to. */
static void serve_peer(struct httpd *s, unsigned int to, const char *tag, struct api_request *req,
		       struct api_reply *out)
{
	const char *user_agent = req->user_agent, *accept = req->accept;

	req->user_agent = "Nacos-Server";
	req->accept = NULL;
	if (cluster_owner(&s->cluster, to, tag, req->now_ms) == to)
		serve_everywhere(s, to, req, out);
	else
		refuse_redirect(req, out);
	req->user_agent = user_agent;
	req->accept = accept;
}

static void fail(const struct member *to, enum forward why, struct api_reply *out)
{
	struct sbuf text = SBUF_NULL;

	if (why == FORWARD_REFUSED)
		sbuf_fmt(&text,
			 "org.apache.http.conn.HttpHostConnectException: Connect to %s failed: "
			 "Connection refused (Connection refused)",
			 to->address);
	else if (why == FORWARD_NO_CONNECTION)
		sbuf_add(&text, "org.apache.http.conn.ConnectionPoolTimeoutException: Timeout "
				"waiting for connection from pool");
	else
		sbuf_add(&text, "java.net.SocketTimeoutException: Read timed out");
	respond_text(out, text.failed ? "" : text.data);
	out->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	sbuf_deinit(&text);
}

static void forward(struct httpd *s, unsigned int from, const char *tag, struct api_request *req,
		    struct api_reply *out, struct forward_note *note)
{
	unsigned int to = (unsigned int)note->to;
	enum forward how = cluster_forward(&s->cluster, from, to, req->now_ms, &note->wait_ms);

	if (how == FORWARD_DONE || how == FORWARD_LATE)
		serve_peer(s, to, tag, req, out);
	if (how != FORWARD_DONE)
		fail(&s->cluster.members[to], how, out);
	out->chunked = false;
	out->type = "application/json;charset=UTF-8";
}

unsigned int forward_owner(const struct httpd *s, unsigned int at, const struct store_key *key)
{
	char tag[TAG_MAX];

	if (s->nodes[at].api.mode->owner_by_service)
		snprintf(tag, sizeof(tag), "%s", key->service);
	else
		snprintf(tag, sizeof(tag), "%s:%d", key->ip, key->port);
	return cluster_owner(&s->cluster, at, tag, httpd_ms(s));
}

struct forward_note forward_serve(struct httpd *s, unsigned int at, struct api_request *req,
				  struct api_reply *out)
{
	struct forward_note note = { .to = -1 };
	struct api *api = &s->nodes[at].api;
	unsigned int owner = at;
	char tag[TAG_MAX];
	bool is_v1 = is_v1_write(req);

	if (s->cluster.n_members == 1 || (!is_v1 && !is_later_write(req))) {
		api_serve(api, req, out);
		return note;
	}
	if (tag_of(api->mode, req, tag))
		owner = cluster_owner(&s->cluster, at, tag, req->now_ms);
	if (owner == at) {
		serve_everywhere(s, at, req, out);
	} else if (!is_v1) {
		api_serve(api, req, out);
	} else if (req->user_agent && starts_with(req->user_agent, "Nacos-Server")) {
		refuse_redirect(req, out);
	} else {
		note.to = (int)owner;
		forward(s, at, tag, req, out, &note);
	}
	return note;
}
