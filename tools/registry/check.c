/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation
 *
 * Two layers. The parameter check of 2.3 and later looks at the raw parameters, with the same
 * rules whatever the call; 1.4 has none. What is stored is checked once more when it is complete:
 * weight and cluster name by all, the service name by 1.4 at the service's creation, the beat
 * settings by newer servers. Lengths are Java's (UTF-16 units).
 */
#include "check.h"

#include "api.h"
#include "jsonobj.h"
#include "mode.h"
#include "refusal.h"
#include "respond.h"
#include "scalar.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum {
	METADATA_MAX = 1024,
	PORT_MAX = 65535
};

static bool consists_of(const char *text, const char *allowed)
{
	return text[strspn(text, allowed)] == '\0';
}

static bool is_word(const char *text)
{
	return consists_of(text, DIGITS LETTERS "-_");
}

static bool is_group(const char *text)
{
	return consists_of(text, DIGITS LETTERS "-_:.");
}

static bool is_blank_or_cjk(uint32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x4e00 && c <= 0x9fa5);
}

static bool has_no_blank_or_cjk(const char *text)
{
	uint32_t c;

	while ((c = sbuf_next_char(&text)) != 0)
		if (is_blank_or_cjk(c))
			return false;
	return true;
}

/* The first character of a service name escapes the rule about blanks, as it does there. */
static bool is_service(const char *text)
{
	if (*text == '@')
		return false;
	sbuf_next_char(&text);
	return has_no_blank_or_cjk(text) && !strstr(text, "@@");
}

static bool is_empty(const char *text)
{
	return !text || text[strspn(text, " \t\n\v\f\r")] == '\0';
}

static bool check_name(const char *name, const char *value, size_t max,
		       bool (*is_legal)(const char *text), struct api_reply *out)
{
	if (is_empty(value))
		return true;
	if (sbuf_java_length(value) > max)
		respond_param_error(
			out, "Param '%s' is illegal, the param length should not exceed %zu.", name,
			max);
	else if (!is_legal(value))
		respond_param_error(
			out,
			"Param '%s' is illegal, illegal characters should not appear in "
			"the param.",
			name);
	else
		return true;
	return false;
}

static bool check_cluster(const char *value, struct api_reply *out)
{
	return check_name("cluster", value, 64, is_word, out);
}

static bool check_clusters(const char *list, struct api_reply *out)
{
	char *copy = list ? strdup(list) : NULL, *rest = copy, *item;
	bool fine = true;

	while (fine && (item = strsep(&rest, ",")) != NULL)
		fine = check_cluster(item, out);
	free(copy);
	return fine;
}

static bool check_address(const char *ip, const char *port, struct api_reply *out)
{
	int number;

	if (!check_name("ip", ip, 128, has_no_blank_or_cjk, out))
		return false;
	if (is_empty(port))
		return true;
	if (scalar_int(port, &number) && number >= 0 && number <= PORT_MAX)
		return true;
	respond_param_error(out, "Param 'port' is illegal, the value should be between 0 and %d.",
			    PORT_MAX);
	return false;
}

/* A group inside the name as it was sent wins over groupName, in every API version. */
static bool check_names(const struct api_request *req, struct api_reply *out)
{
	const char *sent = formdata_get(&req->params, "serviceName");
	const char *name = sent && strstr(sent, "@@") ? sent : req->service;
	const char *split = name ? strstr(name, "@@") : NULL;
	char *group = split ? strndup(name, (size_t)(split - name)) : NULL;
	bool fine = check_name("namespaceId/tenant", formdata_raw(&req->params, "namespaceId"), 64,
			       is_word, out) &&
		    check_name("serviceName", split ? split + 2 : NULL, 512, is_service, out) &&
		    check_name("group", group ? group : formdata_raw(&req->params, "groupName"),
			       128, is_group, out);

	free(group);
	return fine;
}

/* The naming filters, which only v1 passes, wrap what is thrown behind them. */
static void answer_bad_metadata(const struct api_request *req, struct api_reply *out,
				const char *text)
{
	if (req->is_v1)
		respond_error_page(req, out, MHD_HTTP_INTERNAL_SERVER_ERROR,
				   "Server failed, caused: ErrCode:400, ErrMsg:metadata format "
				   "incorrect:%s;caused: metadata format incorrect:%s;",
				   text, text);
	else
		respond_error_page(req, out, MHD_HTTP_INTERNAL_SERVER_ERROR,
				   "ErrCode:400, ErrMsg:metadata format incorrect:%s", text);
}

static bool check_metadata(const struct api_request *req, struct api_reply *out)
{
	const char *text = formdata_get(&req->params, "metadata");
	struct metamap m;
	int r = metamap_parse(&m, text);
	size_t n_chars = m.n_chars;

	metamap_deinit(&m);
	if (r == METAMAP_BAD)
		answer_bad_metadata(req, out, text);
	else if (n_chars > METADATA_MAX)
		respond_param_error(out,
				    "Param 'Metadata' is illegal, the param length should not "
				    "exceed %d.",
				    METADATA_MAX);
	else
		return true;
	return false;
}

/* The address inside the JSON of a full beat. */
static bool check_beat_json(const struct api_request *req, struct api_reply *out)
{
	const char *text = formdata_get(&req->params, "beat");
	char *ip = NULL, *port = NULL, *cluster = NULL;
	struct jsonobj o;
	bool fine;

	if (!text)
		return true;
	if (jsonobj_init(&o, text) != 0) {
		jsonobj_deinit(&o);
		respond_error_page(
			req, out, MHD_HTTP_INTERNAL_SERVER_ERROR,
			"Server failed, caused: errCode: 101, errMsg: Nacos deserialize for "
			"class [com.alibaba.nacos.naming.healthcheck.RsInfo] failed, %s;",
			text);
		return false;
	}
	for (int key = jsonobj_first(&o, 0); key; key = jsonobj_next(&o, 0, key)) {
		char **to = jsonobj_key_is(&o, key, "ip")        ? &ip
			    : jsonobj_key_is(&o, key, "port")    ? &port
			    : jsonobj_key_is(&o, key, "cluster") ? &cluster
								 : NULL;

		if (to) {
			free(*to);
			*to = jsonobj_text(&o, key + 1);
		}
	}
	fine = check_cluster(cluster, out) && check_address(ip, port, out);
	free(ip);
	free(port);
	free(cluster);
	jsonobj_deinit(&o);
	return fine;
}

bool check_params(const struct api_request *req, enum check_set set, struct api_reply *out)
{
	const struct formdata *p = &req->params;
	const char *cluster = formdata_raw(p, "clusterName");

	if (set == CHECK_NOTHING)
		return true;
	if (!check_names(req, out))
		return false;
	if (set == CHECK_LIST)
		return check_clusters(formdata_raw(p, "clusters"), out);
	if (set == CHECK_INSTANCE &&
	    !check_cluster(is_empty(cluster) ? formdata_raw(p, "cluster") : cluster, out))
		return false;
	if (!check_address(formdata_raw(p, "ip"), formdata_raw(p, "port"), out))
		return false;
	return set == CHECK_BEAT ? check_beat_json(req, out) : check_metadata(req, out);
}

/* Newer servers compare the beat settings; what is no number counts as the default here. */
static bool has_sane_settings(const struct metamap *m)
{
	uint64_t interval = metamap_ms(&m->beat_interval, STORE_BEAT_INTERVAL_MS,
				       STORE_BEAT_INTERVAL_MS);

	return interval <=
		       metamap_ms(&m->beat_timeout, STORE_BEAT_TIMEOUT_MS, STORE_BEAT_TIMEOUT_MS) &&
	       interval <= metamap_ms(&m->delete_timeout, STORE_DELETE_TIMEOUT_MS,
				      STORE_DELETE_TIMEOUT_MS);
}

static bool is_cluster(const char *text)
{
	return consists_of(text, DIGITS LETTERS "-");
}

bool check_instance(const struct api *api, const struct api_request *req,
		    const struct store_spec *spec, bool new_service, struct api_reply *out)
{
	const char *cluster = spec->key.cluster, *service = spec->key.service;
	bool old = !api->mode->param_check;

	if (spec->weight < 0.0 || spec->weight > 10000.0)
		refuse(api, req, out, REFUSAL_WEIGHT,
		       "instance format invalid: The weights range from 0.0 to 10000.0");
	else if (old && new_service && !consists_of(service, DIGITS LETTERS "@.:_-"))
		refuse(api, req, out, REFUSAL_ILLEGAL,
		       "dom name can only have these characters: 0-9a-zA-Z-._:, current: %s",
		       service);
	else if (old && !is_cluster(cluster))
		refuse(api, req, out, REFUSAL_INSTANCE,
		       "cluster name can only have these characters: 0-9a-zA-Z-, current: %s",
		       cluster);
	else if (!old && !has_sane_settings(&spec->metadata))
		refuse(api, req, out, REFUSAL_INSTANCE,
		       "Instance 'heart beat interval' must less than 'heart beat timeout' "
		       "and 'ip delete timeout'.");
	else if (!old && !is_cluster(cluster))
		refuse(api, req, out, REFUSAL_INSTANCE,
		       "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. "
		       "(current: %s)",
		       cluster);
	else
		return true;
	return false;
}
