/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of API v1 and v3
 *
 * Writes a descriptor down as the registry wants to read it. Pure: no socket, no clock, no memory
 * of its own. Parameters go into the query, because 1.4.4 to 1.4.8 lose a POST's body; each is sent
 * once, because servers that forward keep the first alone; none is left to a default, because
 * defaults differ.
 *
 * In v1 serviceName carries its group in every request. In the query a name without one would be
 * taken for DEFAULT_GROUP's; in the full beat's JSON 2.x and 3.x acknowledge it, and forget the beat
 * in their background job. v3 wants the two apart, and takes a grouped name for another service's.
 * deregister says ephemeral=, which chooses the store: a persistent instance deleted without it is
 * answered "ok" and stays.
 *
 * A head of more than 8 KiB (a thousand characters of metadata, none of them ASCII) is refused by
 * 3.x in any case, and by servers that somebody started without the official script. The form body
 * has no such limit. v3's servers all read it. Of v1's some lose it, and those are the ones whose
 * script has raised the limit: so v1 tries the query first, and the form when that was refused.
 *
 * An IPv6 address is written in square brackets, although descriptors hold it without. The servers
 * cut "ip:port" at the first colon unless there are brackets (which has bitten them, as malformed
 * instances and connections to half an address), Spring's clients register it so, and consumers
 * paste ip and port together to a URL. What hashes "ip:port" to find an instance's responsible node
 * must use this form too.
 *
 * Sizes: every byte of the longest legal descriptor stays below NACOS_TARGET_MAX, in the query
 * (metadata: 1,024 UTF-16 units of at most three bytes or one escaped one, three bytes each once
 * encoded) and in the bodies.
 */
#include "nacos/request.h"

#include <string.h>

#include "nacos/encode.h"

#define PATH_V1 "/v1/ns/instance"
#define PATH_V3 "/v3/client/ns/instance"

/* What the registry takes for no namespace at all. */
#define DEFAULT_NAMESPACE "public"

static void put_param(struct encode *e, const char *name, const char *value)
{
	encode_plain(e, name);
	encode_text(e, value);
}

static void put_flag(struct encode *e, const char *name, bool value)
{
	put_param(e, name, value ? "true" : "false");
}

static void put_ip(struct encode *e, const char *ip)
{
	bool v6 = strchr(ip, ':') != NULL;

	encode_text(e, v6 ? "[" : "");
	encode_text(e, ip);
	encode_text(e, v6 ? "]" : "");
}

static void put_path(struct encode *e, const struct nacos_api *api)
{
	encode_plain(e, api->context);
	encode_plain(e, api->version == NACOS_V3 ? PATH_V3 : PATH_V1);
}

/* The parameters that come first in every request. */
static void put_name(struct encode *e, const struct nacos_api *api, const struct descriptor *d)
{
	put_param(e, "namespaceId=", d->namespace_id[0] ? d->namespace_id : DEFAULT_NAMESPACE);
	if (api->version == NACOS_V3) {
		put_param(e, "&serviceName=", d->service);
		put_param(e, "&groupName=", d->group);
		return;
	}
	put_param(e, "&serviceName=", d->group);
	encode_text(e, "@@");
	encode_text(e, d->service);
}

static void put_place(struct encode *e, const struct descriptor *d)
{
	put_param(e, "&clusterName=", d->cluster);
	encode_plain(e, "&ip=");
	put_ip(e, d->ip);
	encode_plain(e, "&port=");
	encode_uint(e, d->port);
}

static void put_metadata(struct encode *e, const struct descriptor *d)
{
	encode_text(e, "{");
	for (uint32_t i = 0; i < d->n_metadata; i++) {
		encode_text(e, i > 0 ? "," : "");
		encode_json_string(e, d->metadata[i].key);
		encode_text(e, ":");
		encode_json_string(e, d->metadata[i].value);
	}
	encode_text(e, "}");
}

/* All that a registration says. */
static void put_instance(struct encode *e, const struct nacos_api *api, const struct descriptor *d)
{
	put_name(e, api, d);
	if (api->version == NACOS_V1)
		put_param(e, "&groupName=", d->group);
	put_place(e, d);
	encode_plain(e, "&weight=");
	encode_double(e, d->weight);
	put_flag(e, "&enabled=", d->enabled);
	put_flag(e, "&healthy=", true);
	put_flag(e, "&ephemeral=", d->ephemeral);
	encode_plain(e, "&metadata=");
	put_metadata(e, d);
}

size_t nacos_register_target(const struct nacos_api *api, const struct descriptor *d, char *buf,
			     size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, size);
	put_path(&e, api);
	encode_plain(&e, "?");
	put_instance(&e, api, d);
	return encode_end(&e);
}

size_t nacos_register_path(const struct nacos_api *api, char *buf, size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, size);
	put_path(&e, api);
	return encode_end(&e);
}

size_t nacos_register_body(const struct nacos_api *api, const struct descriptor *d, char *buf,
			   size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_FORM, buf, size);
	put_instance(&e, api, d);
	return encode_end(&e);
}

bool nacos_register_as_form(const struct nacos_api *api, size_t n_head, bool head_refused)
{
	return n_head > NACOS_HEAD_MAX && (api->version == NACOS_V3 || head_refused);
}

size_t nacos_deregister_target(const struct nacos_api *api, const struct descriptor *d, char *buf,
			       size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, size);
	put_path(&e, api);
	encode_plain(&e, "?");
	put_name(&e, api, d);
	put_place(&e, d);
	put_flag(&e, "&ephemeral=", d->ephemeral);
	return encode_end(&e);
}

size_t nacos_beat_line(const struct nacos_api *api, const struct descriptor *d, char *buf,
		       size_t size)
{
	bool v3 = api->version == NACOS_V3;
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, size);
	encode_plain(&e, v3 ? "POST " : "PUT ");
	put_path(&e, api);
	encode_plain(&e, v3 ? "?" : "/beat?");
	put_name(&e, api, d);
	put_place(&e, d);
	encode_plain(&e, v3 ? "&heartBeat=true HTTP/1.1\r\n" : " HTTP/1.1\r\n");
	return encode_end(&e);
}

size_t nacos_beat_body(const struct descriptor *d, char *buf, size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_FORM, buf, size);
	encode_plain(&e, "beat=");
	encode_text(&e, "{\"port\":");
	encode_uint(&e, d->port);
	encode_text(&e, ",\"ip\":\"");
	put_ip(&e, d->ip);
	encode_text(&e, "\",\"weight\":");
	encode_double(&e, d->weight);
	encode_text(&e, ",\"serviceName\":\"");
	encode_json_chars(&e, d->group);
	encode_text(&e, "@@");
	encode_json_chars(&e, d->service);
	encode_text(&e, "\",\"cluster\":");
	encode_json_string(&e, d->cluster);
	encode_text(&e, ",\"metadata\":");
	put_metadata(&e, d);
	encode_text(&e, ",\"scheduled\":false,\"period\":");
	encode_uint(&e, d->beat_ms);
	encode_text(&e, ",\"stopped\":false}");
	return encode_end(&e);
}
