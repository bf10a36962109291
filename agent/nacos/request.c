/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of API v1
 *
 * Writes a descriptor down as the registry wants to read it. Pure: no socket, no clock, no memory
 * of its own. Parameters go into the query, because 1.4.4 to 1.4.8 lose a POST's body; each is sent
 * once, because servers that forward keep the first alone; none is left to a default, because
 * defaults differ.
 *
 * serviceName carries its group in every request. In the query a name without one would be taken
 * for DEFAULT_GROUP's; in the full beat's JSON 2.x and 3.x acknowledge it, and forget the beat in
 * their background job. deregister says ephemeral=, which chooses the store: a persistent instance
 * deleted without it is answered "ok" and stays.
 *
 * An IPv6 address is written in square brackets, although descriptors hold it without. The servers
 * cut "ip:port" at the first colon unless there are brackets (which has bitten them, as malformed
 * instances and connections to half an address), Spring's clients register it so, and consumers
 * paste ip and port together to a URL. What hashes "ip:port" to find an instance's responsible node
 * must use this form too.
 *
 * Sizes: every byte of the longest legal descriptor stays below NACOS_TARGET_MAX, in the query
 * (metadata: 1,024 UTF-16 units of at most three bytes or one escaped one, three bytes each once
 * encoded) and in the beat's body.
 */
#include "nacos/request.h"

#include <string.h>

#include "nacos/encode.h"

#define INSTANCE_PATH "/v1/ns/instance"

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

/* Path and the parameters that come first in every request. */
static void put_head(struct encode *e, const char *context, const char *path,
		     const struct descriptor *d)
{
	encode_plain(e, context);
	encode_plain(e, path);
	put_param(e, "?namespaceId=", d->namespace_id[0] ? d->namespace_id : DEFAULT_NAMESPACE);
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

size_t nacos_register_target(const char *context, const struct descriptor *d, char *buf,
			     size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, size);
	put_head(&e, context, INSTANCE_PATH, d);
	put_param(&e, "&groupName=", d->group);
	put_place(&e, d);
	encode_plain(&e, "&weight=");
	encode_double(&e, d->weight);
	put_flag(&e, "&enabled=", d->enabled);
	put_flag(&e, "&healthy=", true);
	put_flag(&e, "&ephemeral=", d->ephemeral);
	encode_plain(&e, "&metadata=");
	put_metadata(&e, d);
	return encode_end(&e);
}

size_t nacos_deregister_target(const char *context, const struct descriptor *d, char *buf,
			       size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, size);
	put_head(&e, context, INSTANCE_PATH, d);
	put_place(&e, d);
	put_flag(&e, "&ephemeral=", d->ephemeral);
	return encode_end(&e);
}

size_t nacos_beat_line(const char *context, const struct descriptor *d, char *buf, size_t size)
{
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, size);
	encode_plain(&e, "PUT ");
	put_head(&e, context, INSTANCE_PATH "/beat", d);
	put_place(&e, d);
	encode_plain(&e, " HTTP/1.1\r\n");
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
