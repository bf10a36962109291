/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of an instance
 *
 * All API versions name them alike. v1 also knows older spellings and takes whatever is no word
 * for "yes" for a no; v2 and v3 refuse a boolean that is none.
 */
#include "form.h"

#include "api.h"
#include "check.h"
#include "mode.h"
#include "refusal.h"
#include "scalar.h"

#include <math.h>

/* A parameter that has an older spelling in v1. */
static const char *get_either(const struct api_request *req, const char *name, const char *older,
			      const char *fallback)
{
	return formdata_or(&req->params, name,
			   req->is_v1 ? formdata_or(&req->params, older, fallback) : fallback);
}

const char *form_cluster(const struct api_request *req, const char *fallback)
{
	return get_either(req, "clusterName", "cluster", fallback);
}

static bool read_bool(const struct api *api, const struct api_request *req, const char *text,
		      bool *to, struct api_reply *out)
{
	if (req->is_v1) {
		*to = scalar_bool(text);
		return true;
	}
	if (scalar_strict_bool(text, to))
		return true;
	refuse(api, req, out, REFUSAL_VALUE,
	       "Validation failed for argument [0]: "
	       "Invalid boolean value [%s]",
	       text);
	return false;
}

bool form_key(const struct api *api, const struct api_request *req, struct store_key *key,
	      struct api_reply *out)
{
	const char *port = formdata_or(&req->params, "port", NULL);

	*key = (struct store_key){
		.namespace_id = formdata_or(&req->params, "namespaceId", "public"),
		.service = req->service,
		.cluster = form_cluster(req, "DEFAULT"),
		.ip = formdata_or(&req->params, "ip", NULL),
	};
	if (!read_bool(api, req, formdata_or(&req->params, "ephemeral", "true"), &key->ephemeral,
		       out))
		return false;
	if (!key->service)
		refuse_missing(api, req, out, "serviceName", "String");
	else if (!key->ip)
		refuse_missing(api, req, out, "ip", "String");
	else if (!port)
		refuse_missing(api, req, out, "port", "Integer");
	else if (!scalar_int(port, &key->port))
		refuse_number(api, req, out, port);
	else
		return true;
	return false;
}

/* The check of newer servers' parameters has seen the metadata already and reports it bad as an
 * error page; what is left is 1.4's way. */
static bool read_metadata(const struct api *api, const struct api_request *req, struct metamap *m,
			  struct api_reply *out)
{
	const char *text = formdata_or(&req->params, "metadata", NULL);
	int r = metamap_parse(m, text);

	if (r == METAMAP_BAD)
		refuse(api, req, out, REFUSAL_METADATA, "metadata format incorrect:%s", text);
	else if (r != 0)
		refuse(api, req, out, REFUSAL_MEMORY, "out of memory");
	return r == 0;
}

bool form_spec(const struct api *api, const struct api_request *req, struct store_spec *spec,
	       struct api_reply *out)
{
	const char *weight = formdata_or(&req->params, "weight", "1");

	*spec = (struct store_spec){ .enabled = true };
	if (!read_bool(api, req, get_either(req, "enabled", "enable", "true"), &spec->enabled,
		       out) ||
	    !read_bool(api, req, formdata_or(&req->params, "healthy", "true"), &spec->healthy, out))
		return false;
	if (!form_key(api, req, &spec->key, out))
		return false;
	if (!scalar_double(weight, &spec->weight)) {
		refuse_number(api, req, out, weight);
		return false;
	}
	return read_metadata(api, req, &spec->metadata, out);
}

bool form_check(struct api *api, const struct api_request *req, struct store_spec *spec,
		struct api_reply *out)
{
	const struct store_key *key = &spec->key;
	bool is_new = !store_service(&api->store, key->namespace_id, key->service);

	if (!check_instance(api, req, spec, is_new, out))
		return false;
	if (isnan(spec->weight) && api->mode->nan_weight_is_one)
		spec->weight = 1.0;
	if (spec->weight > 0.0 && spec->weight < 0.01)
		spec->weight = 0.01;
	return true;
}

bool form_store(struct api *api, const struct api_request *req, struct store_spec *spec,
		struct api_reply *out)
{
	const struct store_key *key = &spec->key;
	int r;

	if (!form_check(api, req, spec, out))
		return false;
	r = store_put(&api->store, spec, req->now_ms);
	if (r == STORE_OTHER_KIND)
		refuse(api, req, out, REFUSAL_INSTANCE,
		       "errCode: 400, errMsg: Current service %s is %s service, can't "
		       "register %s instance. ",
		       key->service, key->ephemeral ? "persistent" : "ephemeral",
		       key->ephemeral ? "ephemeral" : "persistent");
	else if (r != 0)
		refuse(api, req, out, REFUSAL_MEMORY, "out of memory");
	return r == 0;
}
