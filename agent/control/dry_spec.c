/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance from a command line
 *
 * The list is turned into the bytes that the library would publish, and these go through the decoder that the agent
 * has for them: so a dry run refuses what a registration would be refused for, with the same words.
 */
#include "control/dry_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/config_key.h"
#include "control/nearest.h"
#include "segment/decode.h"

#define METADATA_PREFIX "metadata."
#define MAX ONEBEAT_LARGE_PAYLOAD

struct dry_spec {
	union {
		uint32_t words[MAX / sizeof(uint32_t)];
		uint8_t bytes[MAX];
	} payload;
	size_t n;
	uint8_t metadata[MAX];
	size_t n_metadata;
	struct onebeat_numbers numbers;
	double weight;
	char *error;
	uint32_t registry; /* of the list, the one whose turn it is */
	uint32_t n_registries;
};

static const char *const names[] = { "service",   "port",   "ip",      "group",     "cluster",
				     "namespace", "weight", "enabled", "ephemeral", "registry" };

#define N_NAMES (sizeof(names) / sizeof(names[0]))

static bool put(uint8_t *to, size_t *n, const void *bytes, size_t size)
{
	if (size > MAX - *n)
		return false;
	memcpy(to + *n, bytes, size);
	*n += size;
	return true;
}

static int put_field(struct dry_spec *d, enum onebeat_field type, const void *value, size_t length)
{
	const uint16_t head[2] = { (uint16_t)type, (uint16_t)length };
	static const uint8_t zeros[4];

	if (length <= UINT16_MAX && put(d->payload.bytes, &d->n, head, sizeof(head)) &&
	    put(d->payload.bytes, &d->n, value, length) &&
	    put(d->payload.bytes, &d->n, zeros, ONEBEAT_PAD4(length) - length))
		return 0;
	return config_fail(d->error, "--dry-run: the instance is larger than any can be");
}

static int put_pair(struct dry_spec *d, const char *key, const char *value)
{
	size_t n_key = strlen(key), n_value = strlen(value);
	const uint16_t head[2] = { (uint16_t)n_key, (uint16_t)n_value };

	if (n_key <= UINT16_MAX && n_value <= UINT16_MAX &&
	    put(d->metadata, &d->n_metadata, head, sizeof(head)) &&
	    put(d->metadata, &d->n_metadata, key, n_key) &&
	    put(d->metadata, &d->n_metadata, value, n_value))
		return 0;
	return config_fail(d->error, "--dry-run: the metadata is larger than any can be");
}

static int refuse(struct dry_spec *d, const char *key, const char *value, const char *rule)
{
	char text[CONFIG_SHOWN_MAX + 4];

	return config_fail(d->error, "--dry-run: key '%s': value '%s' %s", key,
			   config_shown(value, text), rule);
}

static int set_port(struct dry_spec *d, const char *value)
{
	size_t n = strspn(value, "0123456789");

	if (n == 0 || n > 5 || value[n])
		return refuse(d, "port", value, "is not a whole number in 1..65535");
	d->numbers.port = (uint32_t)strtoul(value, NULL, 10);
	return 0;
}

static int set_weight(struct dry_spec *d, const char *value)
{
	char *end;

	errno = 0;
	d->weight = strtod(value, &end);
	return errno == 0 && end != value && !*end
		       ? 0
		       : refuse(d, "weight", value, "is not a number in 0..10000");
}

static int set_flag(struct dry_spec *d, const char *key, const char *value, uint32_t flag)
{
	bool yes = strcmp(value, "yes") == 0;

	if (!yes && strcmp(value, "no") != 0)
		return refuse(d, key, value, "is not one of yes, no");
	d->numbers.flags = yes ? d->numbers.flags | flag : d->numbers.flags & ~flag;
	return 0;
}

/* Of the names of a list the one whose turn it is; each is judged when it is its turn. */
static int set_registry(struct dry_spec *d, const char *value)
{
	const char *name = value;
	size_t n = strcspn(name, ",");

	for (d->n_registries = 1; value[strcspn(value, ",")]; d->n_registries++) {
		value += strcspn(value, ",") + 1;
		if (d->n_registries == d->registry) {
			name = value;
			n = strcspn(name, ",");
		}
	}
	if (d->n_registries > ONEBEAT_REGISTRIES_MAX)
		return config_fail(d->error, "--dry-run: %u registries, at most %u can be named",
				   d->n_registries, ONEBEAT_REGISTRIES_MAX);
	if (n == 0 && d->n_registries > 1)
		return config_fail(d->error, "--dry-run: key 'registry': a name is empty");
	return put_field(d, ONEBEAT_FIELD_REGISTRY, name, n);
}

static int unknown(struct dry_spec *d, const char *key)
{
	const char *near = nearest_word(key, names, N_NAMES);
	char text[CONFIG_SHOWN_MAX + 4];

	if (near)
		return config_fail(d->error, "--dry-run: key '%s' is unknown: did you mean '%s'?",
				   config_shown(key, text), near);
	return config_fail(
		d->error,
		"--dry-run: key '%s' is unknown: known are service, port, ip, group, "
		"cluster, namespace, weight, enabled, ephemeral, registry and metadata.NAME",
		config_shown(key, text));
}

static int set_pair(struct dry_spec *d, const char *key, const char *value)
{
	static const struct {
		const char *name;
		enum onebeat_field type;
	} texts[] = { { "service", ONEBEAT_FIELD_SERVICE },
		      { "ip", ONEBEAT_FIELD_IP },
		      { "group", ONEBEAT_FIELD_GROUP },
		      { "cluster", ONEBEAT_FIELD_CLUSTER },
		      { "namespace", ONEBEAT_FIELD_NAMESPACE } };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(key, texts[i].name) == 0)
			return put_field(d, texts[i].type, value, strlen(value));
	}
	if (strcmp(key, "registry") == 0)
		return set_registry(d, value);
	if (strncmp(key, METADATA_PREFIX, strlen(METADATA_PREFIX)) == 0)
		return put_pair(d, key + strlen(METADATA_PREFIX), value);
	if (strcmp(key, "port") == 0)
		return set_port(d, value);
	if (strcmp(key, "weight") == 0)
		return set_weight(d, value);
	if (strcmp(key, "enabled") == 0)
		return set_flag(d, key, value, ONEBEAT_DESC_ENABLED);
	if (strcmp(key, "ephemeral") == 0)
		return set_flag(d, key, value, ONEBEAT_DESC_EPHEMERAL);
	return unknown(d, key);
}

/* Ends the item at *rest, takes its escapes out, and moves *rest behind it; NULL when there is none. */
static char *next_item(char **rest)
{
	char *item = *rest;
	char *from = item;
	char *to = item;

	if (!item)
		return NULL;
	while (*from && *from != ',') {
		if (*from == '\\' && (from[1] == ',' || from[1] == '\\'))
			from++;
		*to++ = *from++;
	}
	*rest = *from ? from + 1 : NULL;
	*to = '\0';
	return item;
}

static int take_items(struct dry_spec *d, char *rest)
{
	char text[CONFIG_SHOWN_MAX + 4];
	char *item;
	int r = 0;

	while (r == 0 && (item = next_item(&rest)) != NULL) {
		char *equals = strchr(item, '=');

		if (!equals)
			return config_fail(d->error, "--dry-run: '%s' is not KEY=VALUE",
					   config_shown(item, text));
		*equals = '\0';
		r = set_pair(d, item, equals + 1);
	}
	return r;
}

static int encode(struct dry_spec *d, const char *spec)
{
	CLEANUP(free_p) char *copy = strdup(spec);
	uint64_t bits;
	int r = copy ? take_items(d, copy) : config_fail(d->error, "out of memory");

	memcpy(&bits, &d->weight, sizeof(bits));
	d->numbers.weight_lo = (uint32_t)bits;
	d->numbers.weight_hi = (uint32_t)(bits >> 32);
	if (r == 0)
		r = put_field(d, ONEBEAT_FIELD_NUMBERS, &d->numbers, sizeof(d->numbers));
	return r == 0 ? put_field(d, ONEBEAT_FIELD_METADATA, d->metadata, d->n_metadata) : r;
}

/* As it goes to registry k of the list, whose length it tells. NULL with a sentence. */
static struct descriptor *parse_one(const char *spec, uint32_t k, uint32_t *n_registries,
				    char error[CONFIG_ERROR_MAX])
{
	CLEANUP(free_p) struct dry_spec *d = calloc(1, sizeof(*d));
	struct descriptor *out = NULL;
	char why[DECODE_WHY_MAX] = "";
	int r;

	if (!d) {
		(void)config_fail(error, "out of memory");
		return NULL;
	}
	d->error = error;
	d->weight = 1;
	d->registry = k;
	d->n_registries = 1;
	d->numbers.flags = ONEBEAT_DESC_ENABLED | ONEBEAT_DESC_EPHEMERAL;
	r = encode(d, spec);
	if (r == 0 && decode_descriptor(d->payload.words, (uint32_t)d->n, &out, why) < 0)
		(void)config_fail(error, "--dry-run: %s", why[0] ? why : "out of memory");
	*n_registries = d->n_registries;
	return out;
}

static bool is_twice(const struct dry_instance *instance, const char *registry)
{
	for (uint32_t i = 0; i < instance->n; i++) {
		if (strcmp(instance->at[i]->registry, registry) == 0)
			return true;
	}
	return false;
}

int dry_spec_parse(struct dry_instance *out, const char *spec, char error[CONFIG_ERROR_MAX])
{
	uint32_t n = 1;

	*out = (struct dry_instance){ 0 };
	for (uint32_t k = 0; k < n; k++) {
		struct descriptor *d = parse_one(spec, k, &n, error);
		bool twice = d && is_twice(out, d->registry);

		if (twice)
			(void)config_fail(error, "--dry-run: registry '%s' is named twice",
					  d->registry);
		if (!d || twice) {
			descriptor_unref(d);
			return -EINVAL;
		}
		out->at[out->n++] = d;
	}
	return 0;
}

void dry_instance_deinit(struct dry_instance *instance)
{
	for (uint32_t i = 0; i < instance->n; i++)
		descriptor_unref(instance->at[i]);
	*instance = (struct dry_instance){ 0 };
}
