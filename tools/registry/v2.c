/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The v2 calls, as versions 2.2 to 2.5 document them
 *
 * v1 with plain names and wrapped replies. Its beat is v1's own, but for the name check, which
 * the router does.
 */
#include "v2.h"

#include "api.h"
#include "form.h"
#include "refusal.h"
#include "respond.h"
#include "v1_read.h"
#include "view.h"

#include <microhttpd.h>

void v2_register(struct api *api, const struct api_request *req, struct api_reply *out)
{
	struct store_spec spec;

	if (form_spec(api, req, &spec, out) && form_store(api, req, &spec, out))
		respond_result(out, MHD_HTTP_OK, CODE_OK, "ok");
	metamap_deinit(&spec.metadata);
}

void v2_deregister(struct api *api, const struct api_request *req, struct api_reply *out)
{
	struct store_instance *inst;
	struct store_key key;

	if (!form_key(api, req, &key, out))
		return;
	inst = store_find(&api->store, &key);
	if (inst)
		store_remove(&api->store, inst, req->now_ms);
	respond_result(out, MHD_HTTP_OK, CODE_OK, "ok");
}

void v2_detail(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const struct store_instance *inst;
	const struct store_service *svc;
	struct store_key key;
	bool has_cluster;

	if (!form_key(api, req, &key, out))
		return;
	svc = store_service(&api->store, key.namespace_id, key.service);
	inst = v1_read_match(api, svc, req, &has_cluster);
	if (!inst) {
		refuse(api, req, out, REFUSAL_UNKNOWN,
		       has_cluster ? "no matched ip found!"
				   : "no ips found for cluster %s in service %s",
		       key.cluster, key.service);
		return;
	}
	respond_data(out);
	view_instance(&out->body, inst, true);
	sbuf_add(&out->body, "}");
}

void v2_list(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const struct store_service *svc;

	if (!req->service) {
		refuse_missing(api, req, out, "serviceName", "String");
		return;
	}
	svc = store_service(&api->store, formdata_or(&req->params, "namespaceId", "public"),
			    req->service);
	if (v1_read_breaks(api, req, svc, out))
		return;
	respond_data(out);
	v1_read_put_list(api, req, &out->body, svc, form_cluster(req, ""));
	sbuf_add(&out->body, "}");
}
