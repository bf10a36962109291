/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register, deregister and beat
 *
 * Registering is an upsert. A light beat renews what is there and says 20404 for what is not; a
 * full beat carries the instance as JSON, creates it when it is missing and otherwise only
 * renews it: weight and metadata in a beat never change an instance. Newer servers renew the
 * service that the JSON names, whatever the query says, and a JSON that names none renews
 * nothing, although the reply is the usual one.
 *
 * Intervals in replies are those that the instance was registered with, or the default; they are
 * never scaled with the registry's clock, since the client measures them with its own.
 */
#include "v1_write.h"

#include "api.h"
#include "form.h"
#include "jsonobj.h"
#include "mode.h"
#include "refusal.h"
#include "respond.h"
#include "scalar.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BEAT_OK = 10200,
	BEAT_UNKNOWN = 20404
};

void v1_write_register(struct api *api, const struct api_request *req, struct api_reply *out)
{
	struct store_spec spec;

	if (form_spec(api, req, &spec, out) && form_store(api, req, &spec, out))
		respond_text(out, "ok");
	metamap_deinit(&spec.metadata);
}

/* Says "ok" whether or not there was anything to remove. */
void v1_write_deregister(struct api *api, const struct api_request *req, struct api_reply *out)
{
	struct store_instance *inst;
	struct store_key key;

	if (!form_key(api, req, &key, out))
		return;
	inst = store_find(&api->store, &key);
	if (inst)
		store_remove(&api->store, inst, req->now_ms);
	respond_text(out, "ok");
}

struct beat {
	bool is_full;
	/* Of a full beat's JSON: */
	char *ip;
	char *port;
	char *cluster;
	char *service;
	char *weight;
	char *ephemeral;
	struct metamap metadata;
};

static void beat_deinit(struct beat *b)
{
	free(b->ip);
	free(b->port);
	free(b->cluster);
	free(b->service);
	free(b->weight);
	free(b->ephemeral);
	metamap_deinit(&b->metadata);
	*b = (struct beat){ .is_full = false };
}

/* Returns 0, or else the JSON is not one of a beat. */
static int take_member(struct beat *b, const struct jsonobj *o, int key)
{
	const struct {
		const char *name;
		char **to;
	} texts[] = {
		{ "ip", &b->ip },           { "port", &b->port },
		{ "cluster", &b->cluster }, { "serviceName", &b->service },
		{ "weight", &b->weight },   { "ephemeral", &b->ephemeral },
	};

	if (jsonobj_key_is(o, key, "metadata")) {
		metamap_deinit(&b->metadata);
		return metamap_from_json(&b->metadata, o, key + 1);
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (jsonobj_key_is(o, key, texts[i].name)) {
			free(*texts[i].to);
			*texts[i].to = jsonobj_text(o, key + 1);
		}
	}
	return 0;
}

static bool read_beat(const struct api_request *req, struct beat *b)
{
	const char *text = formdata_or(&req->params, "beat", NULL);
	struct jsonobj o;
	int r;

	*b = (struct beat){ .is_full = text != NULL };
	if (!text)
		return true;
	r = jsonobj_init(&o, text);
	for (int key = r == 0 ? jsonobj_first(&o, 0) : 0; key && r == 0;
	     key = jsonobj_next(&o, 0, key))
		r = take_member(b, &o, key);
	jsonobj_deinit(&o);
	return r == 0;
}

/* Whom the beat is for. The JSON's address wins; a missing one names nobody. */
static bool beat_key(const struct api *api, const struct api_request *req, const struct beat *b,
		     struct store_key *key, struct api_reply *out)
{
	const char *port = b->is_full ? b->port : formdata_or(&req->params, "port", NULL);
	const char *cluster = b->cluster && *b->cluster ? b->cluster : NULL;

	*key = (struct store_key){
		.namespace_id = formdata_or(&req->params, "namespaceId", "public"),
		.service = req->service,
		.cluster = cluster ? cluster : form_cluster(req, "DEFAULT"),
		.ip = b->is_full ? b->ip : formdata_or(&req->params, "ip", NULL),
		.ephemeral = true,
	};
	if (!key->ip)
		key->ip = "";
	if (port && !scalar_int(port, &key->port)) {
		refuse_number(api, req, out, port);
		return false;
	}
	if (!key->service)
		refuse_missing(api, req, out, "serviceName", "String");
	return key->service;
}

/* A service of one kind finds only ephemeral instances; 1.4 answers for persistent ones too. */
static struct store_instance *find_beating(struct api *api, const struct store_key *key)
{
	struct store_instance *inst = store_find(&api->store, key);
	struct store_key persistent = *key;

	if (inst || api->mode->one_kind)
		return inst;
	persistent.ephemeral = false;
	return store_find(&api->store, &persistent);
}

static bool create(struct api *api, const struct api_request *req, struct beat *b,
		   struct store_key *key, struct api_reply *out)
{
	struct store_spec spec = { .key = *key, .enabled = true, .healthy = true };
	bool done;

	if (!*key->ip) {
		refuse_missing(api, req, out, "ip", "String");
		return false;
	}
	if (b->weight && !scalar_double(b->weight, &spec.weight)) {
		refuse_number(api, req, out, b->weight);
		return false;
	}
	spec.key.ephemeral = !b->ephemeral || scalar_bool(b->ephemeral);
	spec.metadata = b->metadata;
	b->metadata = (struct metamap)METAMAP_NULL;
	done = form_store(api, req, &spec, out);
	metamap_deinit(&spec.metadata);
	key->ephemeral = spec.key.ephemeral;
	return done;
}

/* Newer servers' full beat: the JSON's service, ungrouped names being in DEFAULT_GROUP. */
static struct store_instance *named_in_json(struct api *api, const struct beat *b,
					    const struct store_key *key)
{
	struct store_key named = *key;
	struct store_instance *inst;
	char *grouped = NULL;

	if (!b->service)
		return NULL;
	if (!strstr(b->service, "@@") && asprintf(&grouped, "DEFAULT_GROUP@@%s", b->service) < 0)
		return NULL;
	named.service = grouped ? grouped : b->service;
	inst = store_find(&api->store, &named);
	free(grouped);
	return inst;
}

static void answer_beat(const struct api *api, struct api_reply *out, int code,
			uint64_t interval_ms)
{
	out->beat_code = code;
	respond_json(out);
	sbuf_fmt(&out->body, "{\"clientBeatInterval\":%" PRIu64 ",\"code\":%d%s}", interval_ms,
		 code,
		 code == BEAT_UNKNOWN && api->mode->short_unknown ? ""
								  : ",\"lightBeatEnabled\":true");
}

static void beat(struct api *api, const struct api_request *req, struct beat *b,
		 struct api_reply *out)
{
	uint64_t if_bad_ms = api->mode->bad_setting_is_zero ? 0 : STORE_BEAT_INTERVAL_MS;
	struct store_instance *inst, *renewed;
	struct store_key key;

	if (!beat_key(api, req, b, &key, out))
		return;
	inst = find_beating(api, &key);
	if (!inst && !b->is_full) {
		answer_beat(api, out, BEAT_UNKNOWN, STORE_BEAT_INTERVAL_MS);
		return;
	}
	if (!inst) {
		if (!create(api, req, b, &key, out))
			return;
		inst = store_find(&api->store, &key);
	}
	renewed = b->is_full && api->mode->beats_by_json_name ? named_in_json(api, b, &key) : inst;
	if (renewed)
		store_beat(renewed, req->now_ms);
	answer_beat(api, out, BEAT_OK,
		    metamap_ms(&inst->metadata.beat_interval, STORE_BEAT_INTERVAL_MS, if_bad_ms));
}

void v1_write_beat(struct api *api, const struct api_request *req, struct api_reply *out)
{
	struct beat b;

	if (read_beat(req, &b))
		beat(api, req, &b, out);
	else
		respond_error(api->mode, out, MHD_HTTP_INTERNAL_SERVER_ERROR,
			      "errCode: 101, errMsg: Nacos deserialize for class "
			      "[com.alibaba.nacos.naming.healthcheck.RsInfo] failed. ");
	beat_deinit(&b);
}
