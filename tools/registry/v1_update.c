/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates of instances
 *
 * Nobody who owns an instance should use them: 1.4 registers what is not there, and later servers
 * keep what was said apart from the instance and let it win over every later registration (see
 * overlay.c). They are here because operators' consoles use them.
 */
#include "v1_update.h"

#include "api.h"
#include "form.h"
#include "mode.h"
#include "refusal.h"
#include "respond.h"
#include "scalar.h"
#include "v1_write.h"
#include "view.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer(const struct api_request *req, struct api_reply *out)
{
	if (req->is_v1 || strcmp(req->method, "PATCH") == 0)
		respond_text(out, "ok");
	else
		respond_result(out, MHD_HTTP_OK, CODE_OK, "ok");
}

static void lay_over(struct api *api, const struct api_request *req, const struct store_key *key,
		     const struct store_update *update, struct api_reply *out)
{
	if (store_lay_over(&api->store, key, update, req->now_ms) == 0)
		answer(req, out);
	else
		refuse(api, req, out, REFUSAL_MEMORY, "out of memory");
}

/* Java clients of 1.0.0 and later may only change what is there; for others this registers. */
static void update_14(struct api *api, const struct api_request *req, struct api_reply *out)
{
	struct store_key key;

	if (!api_is_java_client(req) ||
	    (form_key(api, req, &key, out) && store_find(&api->store, &key)))
		v1_write_register(api, req, out);
	else if (out->status == 0)
		respond_error(api->mode, out, MHD_HTTP_INTERNAL_SERVER_ERROR,
			      "instance not exist: %s:%d", key.ip, key.port);
}

static bool has_service(const struct api *api, const struct api_request *req,
			const struct store_key *key, struct api_reply *out)
{
	const char *split = strstr(key->service, "@@");

	if (store_service(&api->store, key->namespace_id, key->service))
		return true;
	refuse(api, req, out, REFUSAL_NO_SERVICE,
	       "service not found, namespace: %s, service: Service{namespace='%s', group='%.*s', "
	       "name='%s', ephemeral=%s, revision=0}",
	       key->namespace_id, key->namespace_id, (int)(split - key->service), key->service,
	       split + 2, view_bool(key->ephemeral));
	return false;
}

void v1_update(struct api *api, const struct api_request *req, struct api_reply *out)
{
	struct store_spec spec = { .enabled = true, .weight = 1 };
	struct store_update update = {
		.enabled = &spec.enabled,
		.weight = &spec.weight,
		.metadata = &spec.metadata,
	};

	if (api->mode->bit & MODE_14) {
		update_14(api, req, out);
		return;
	}
	if (form_spec(api, req, &spec, out) && form_check(api, req, &spec, out) &&
	    has_service(api, req, &spec.key, out))
		lay_over(api, req, &spec.key, &update, out);
	metamap_deinit(&spec.metadata);
}

/* In 1.4 an instance is registered again with what is new. */
static void patch_14(struct api *api, const struct api_request *req, struct store_spec *spec,
		     const struct store_instance *inst, struct api_reply *out)
{
	const struct formdata *p = &req->params;

	if (!formdata_get(p, "enabled"))
		spec->enabled = inst->enabled;
	if (!formdata_get(p, "weight"))
		spec->weight = inst->weight;
	if (!formdata_get(p, "metadata") &&
	    metamap_parse(&spec->metadata, metamap_json(&inst->metadata)) != 0)
		refuse(api, req, out, REFUSAL_MEMORY, "out of memory");
	else if (form_store(api, req, spec, out))
		respond_text(out, "ok");
}

void v1_patch(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const struct formdata *p = &req->params;
	const struct store_instance *inst;
	struct store_spec spec = { .enabled = true };
	struct store_update update = {
		.enabled = formdata_get(p, "enabled") ? &spec.enabled : NULL,
		.weight = formdata_get(p, "weight") ? &spec.weight : NULL,
		.metadata = formdata_get(p, "metadata") ? &spec.metadata : NULL,
	};

	if (form_spec(api, req, &spec, out)) {
		inst = store_find(&api->store, &spec.key);
		if (!inst)
			respond_error(api->mode, out,
				      api->mode->one_kind ? MHD_HTTP_NOT_FOUND
							  : MHD_HTTP_BAD_REQUEST,
				      "instance not found");
		else if (api->mode->bit & MODE_14)
			patch_14(api, req, &spec, inst, out);
		else if (form_check(api, req, &spec, out))
			lay_over(api, req, &spec.key, &update, out);
	}
	metamap_deinit(&spec.metadata);
}

static void put_statuses(struct sbuf *b, const struct store_service *svc)
{
	const struct store_instance *inst;
	const char *comma = "";

	sbuf_add(b, "{\"ips\":[");
	TAILQ_FOREACH(inst, &svc->instances, link)
	{
		struct sbuf text = SBUF_NULL;

		sbuf_fmt(&text, "%s:%d_%s", inst->ip, inst->port, view_bool(inst->healthy));
		sbuf_add(b, comma);
		comma = ",";
		if (text.failed)
			b->failed = true;
		else
			sbuf_json(b, text.data);
		sbuf_deinit(&text);
	}
	sbuf_add(b, "]}");
}

/* The key is NAMESPACE##GROUP@@NAME, the namespace being left out for the default one. */
void v1_statuses(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const char *key = formdata_get(&req->params, "key"), *name;
	char *namespace_id;
	const struct store_service *svc;

	if (!key && api->mode->wraps_texts) {
		respond_error(api->mode, out, MHD_HTTP_INTERNAL_SERVER_ERROR,
			      "Required request parameter 'key' for method parameter type String "
			      "is not present");
		return;
	}
	if (!key) {
		respond_error(api->mode, out, MHD_HTTP_BAD_REQUEST, "Parameter 'key' is missing");
		return;
	}
	name = strstr(key, "##");
	namespace_id = name ? strndup(key, (size_t)(name - key)) : strdup("public");
	name = name ? name + 2 : key;
	svc = namespace_id ? store_service(&api->store, namespace_id, name) : NULL;
	free(namespace_id);
	if (!svc) {
		respond_error(api->mode, out, MHD_HTTP_NOT_FOUND, "service: %s not found.", name);
		return;
	}
	respond_json(out);
	put_statuses(&out->body, svc);
}
