/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors, from bytes
 *
 * The bytes are a private copy, yet a stranger's: the library checks all this too, but a client may bring
 * another library, or none. Two steps. split() cuts the fields apart and looks at nothing but lengths,
 * types and repetitions; the rest judges values, each rule once, in the order of the public header. No
 * length is followed before it is compared with what is left, nothing recurses, and the work is bounded by
 * the payload's size.
 *
 * An ip is written anew in its canonical form, because it is part of the instance's key and one address
 * must not make two instances.
 */
#include "segment/decode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "segment/metadata.h"
#include <onebeat/onebeat.h>

#define FIELD_HEAD 4u
#define N_FIELDS (ONEBEAT_FIELD_METADATA + 1)
#define BEAT_MIN_MS UINT32_C(1000)
#define BEAT_MAX_MS UINT32_C(120000)
#define PROGRESS_MIN_MS UINT32_C(1000)
#define PROGRESS_MAX_MS UINT32_C(86400000)
#define WEIGHT_MAX 10000.0

_Static_assert(DECODE_WHY_MAX == WHY_MAX, "one length of sentences");

struct field {
	const uint8_t *value; /* NULL: not there */
	uint32_t length;
};

static const char *const field_names[N_FIELDS] = {
	[ONEBEAT_FIELD_NUMBERS] = "numbers",
	[ONEBEAT_FIELD_SERVICE] = "service",
	[ONEBEAT_FIELD_GROUP] = "group",
	[ONEBEAT_FIELD_CLUSTER] = "cluster",
	[ONEBEAT_FIELD_NAMESPACE] = "namespace",
	[ONEBEAT_FIELD_REGISTRY] = "registry",
	[ONEBEAT_FIELD_IP] = "ip",
	[ONEBEAT_FIELD_METADATA] = "metadata",
};

/* What a text may be; max is in bytes. */
struct text_rule {
	uint32_t max;
	const char *too_long;
	const char *marks; /* allowed beside letters and digits */
	const char *bad_char;
};

static const struct text_rule text_rules[N_FIELDS] = {
	[ONEBEAT_FIELD_SERVICE] = { ONEBEAT_SERVICE_MAX, "is longer than 255 bytes", "._:-",
				    "has a character outside A-Z a-z 0-9 . _ : -" },
	[ONEBEAT_FIELD_GROUP] = { ONEBEAT_GROUP_MAX, "is longer than 128 bytes", "._:-",
				  "has a character outside A-Z a-z 0-9 . _ : -" },
	[ONEBEAT_FIELD_CLUSTER] = { ONEBEAT_CLUSTER_MAX, "is longer than 64 bytes", "-",
				    "has a character outside A-Z a-z 0-9 -" },
	[ONEBEAT_FIELD_NAMESPACE] = { ONEBEAT_NAMESPACE_MAX, "is longer than 64 bytes", "_-",
				      "has a character outside A-Z a-z 0-9 _ -" },
	[ONEBEAT_FIELD_REGISTRY] = { ONEBEAT_REGISTRY_MAX, "is longer than 32 bytes", "._-",
				     "has a character outside A-Z a-z 0-9 . _ -" },
};

/* Everything between the bytes and the descriptor. */
struct decoding {
	struct field fields[N_FIELDS];
	struct onebeat_numbers numbers;
	double weight;
	char texts[N_FIELDS][ONEBEAT_SERVICE_MAX + 1];
	struct metadata metadata;
};

static bool all_zero(const uint8_t *p, uint32_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* Files one field under its type. */
static int take_field(struct decoding *d, uint32_t type, const uint8_t *value, uint32_t length,
		      char why[WHY_MAX])
{
	if (type == 0 || type >= N_FIELDS) {
		if (type & ONEBEAT_FIELD_INCOMPAT)
			return why_plain(why,
					 "field type 0x%x may not be skipped, and this agent does "
					 "not know it",
					 type);
		return 0;
	}
	if (d->fields[type].value)
		return why_plain(why, "%s is there twice", field_names[type]);
	d->fields[type] = (struct field){ value, length };
	return 0;
}

static int split(struct decoding *d, const uint8_t *at, uint32_t left, char why[WHY_MAX])
{
	while (left > 0) {
		uint16_t head[2]; /* type, length */
		uint32_t space;
		int r;

		if (left < FIELD_HEAD)
			return why_plain(why, "the descriptor ends inside a field's head");
		memcpy(head, at, sizeof(head));
		at += FIELD_HEAD;
		left -= FIELD_HEAD;
		if (head[1] > left)
			return why_plain(why, "the descriptor ends inside field type 0x%x",
					 head[0]);
		/* The last field's padding may be missing. */
		space = ONEBEAT_PAD4(head[1]) < left ? ONEBEAT_PAD4(head[1]) : left;
		if (!all_zero(at + head[1], space - head[1]))
			return why_plain(why, "field type 0x%x is not padded with zeros", head[0]);
		r = take_field(d, head[0], at, head[1], why);
		if (r < 0)
			return r;
		at += space;
		left -= space;
	}
	return 0;
}

static int check_numbers(struct decoding *d, char why[WHY_MAX])
{
	const struct field *f = &d->fields[ONEBEAT_FIELD_NUMBERS];
	struct onebeat_numbers *n = &d->numbers;
	uint64_t bits;

	if (!f->value || f->length != sizeof(*n))
		return why_plain(why, "numbers are missing or not %zu bytes", sizeof(*n));
	memcpy(n, f->value, sizeof(*n));
	bits = (uint64_t)n->weight_hi << 32 | n->weight_lo;
	memcpy(&d->weight, &bits, sizeof(d->weight));
	if (n->port < 1 || n->port > 65535)
		return why_plain(why, "port %u is not in 1..65535", n->port);
	if (n->flags & ~(uint32_t)ONEBEAT_DESC_FLAGS)
		return why_plain(why, "flags 0x%x has a bit that this agent does not know",
				 n->flags);
	/* Written so that a NaN fails. */
	if (!(d->weight >= 0.0 && d->weight <= WEIGHT_MAX))
		return why_plain(why, "weight %g is not a number in 0..10000", d->weight);
	if (n->policy != ONEBEAT_ANY_HOLDER && n->policy != ONEBEAT_OWNER)
		return why_plain(why, "policy %u is neither ONEBEAT_ANY_HOLDER nor ONEBEAT_OWNER",
				 n->policy);
	if (n->beat_ms != 0 && (n->beat_ms < BEAT_MIN_MS || n->beat_ms > BEAT_MAX_MS))
		return why_plain(why, "beat_ms %u is not 0 or in 1000..120000", n->beat_ms);
	if (n->progress_timeout_ms != 0 &&
	    (n->progress_timeout_ms < PROGRESS_MIN_MS || n->progress_timeout_ms > PROGRESS_MAX_MS))
		return why_plain(why, "progress_timeout_ms %u is not 0 or in 1000..86400000",
				 n->progress_timeout_ms);
	return 0;
}

static bool allowed(uint8_t c, const char *marks)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c != '\0' && strchr(marks, c);
}

/* A missing field is an empty text. */
static int check_text(struct decoding *d, enum onebeat_field type, char why[WHY_MAX])
{
	const struct text_rule *rule = &text_rules[type];
	const struct field *f = &d->fields[type];

	if (f->length > rule->max)
		return why_value(why, field_names[type], f->value, f->length, rule->too_long);
	for (uint32_t i = 0; i < f->length; i++) {
		if (!allowed(f->value[i], rule->marks))
			return why_value(why, field_names[type], f->value, f->length,
					 rule->bad_char);
	}
	if (f->length > 0)
		memcpy(d->texts[type], f->value, f->length);
	d->texts[type][f->length] = '\0';
	return 0;
}

static int check_texts(struct decoding *d, char why[WHY_MAX])
{
	for (int type = ONEBEAT_FIELD_SERVICE; type <= ONEBEAT_FIELD_REGISTRY; type++) {
		int r = check_text(d, (enum onebeat_field)type, why);

		if (r < 0)
			return r;
	}
	if (d->texts[ONEBEAT_FIELD_SERVICE][0] == '\0')
		return why_plain(why, "service is empty: an instance needs a service name");
	return 0;
}

static int check_ip(struct decoding *d, char why[WHY_MAX])
{
	const struct field *f = &d->fields[ONEBEAT_FIELD_IP];
	char *text = d->texts[ONEBEAT_FIELD_IP];
	struct in6_addr addr;
	int family;

	text[0] = '\0';
	if (f->length == 0)
		return 0;
	if (f->length <= ONEBEAT_IP_MAX && !memchr(f->value, '\0', f->length)) {
		memcpy(text, f->value, f->length);
		text[f->length] = '\0';
		family = strchr(text, ':') ? AF_INET6 : AF_INET;
		if (inet_pton(family, text, &addr) == 1 &&
		    inet_ntop(family, &addr, text, sizeof(d->texts[0])))
			return 0;
	}
	return why_value(why, "ip", f->value, f->length, "is not a numeric IPv4 or IPv6 address");
}

/* The instance's own period; where none is given, the interval that its metadata tells the registry. */
static uint32_t beat_of(const struct decoding *d)
{
	uint32_t interval_ms = d->metadata.interval_ms;

	if (d->numbers.beat_ms)
		return d->numbers.beat_ms;
	if (!interval_ms)
		return DESCRIPTOR_BEAT_MS_DEFAULT;
	if (interval_ms < BEAT_MIN_MS)
		return BEAT_MIN_MS;
	return interval_ms < BEAT_MAX_MS ? interval_ms : BEAT_MAX_MS;
}

static int check_metadata(struct decoding *d, char why[WHY_MAX])
{
	const struct field *f = &d->fields[ONEBEAT_FIELD_METADATA];
	struct metadata *md = &d->metadata;
	int r = metadata_decode(f->value, f->length, md, why);

	/* Both count: the period until the registry answers, the interval from then on. */
	if (r == 0 && md->interval_ms)
		r = metadata_check_order(md, md->interval_ms, why);
	if (r == 0)
		r = metadata_check_order(md, beat_of(d), why);
	return r;
}

static const char *text_or(const struct decoding *d, enum onebeat_field type, const char *fallback)
{
	return d->texts[type][0] ? d->texts[type] : fallback;
}

static struct descriptor *build(const struct decoding *d)
{
	const struct onebeat_numbers *n = &d->numbers;
	const struct descriptor from = {
		.registry = d->texts[ONEBEAT_FIELD_REGISTRY],
		.namespace_id = d->texts[ONEBEAT_FIELD_NAMESPACE],
		.group = text_or(d, ONEBEAT_FIELD_GROUP, "DEFAULT_GROUP"),
		.service = d->texts[ONEBEAT_FIELD_SERVICE],
		.cluster = text_or(d, ONEBEAT_FIELD_CLUSTER, "DEFAULT"),
		.ip = d->texts[ONEBEAT_FIELD_IP],
		.port = (uint16_t)n->port,
		.enabled = n->flags & ONEBEAT_DESC_ENABLED,
		.ephemeral = n->flags & ONEBEAT_DESC_EPHEMERAL,
		.when_listening = n->flags & ONEBEAT_DESC_WHEN_LISTENING,
		.policy = (uint8_t)n->policy,
		.weight = d->weight + 0.0, /* -0.0 becomes 0.0 */
		.beat_ms = beat_of(d),
		.progress_timeout_ms = n->progress_timeout_ms,
	};

	return descriptor_new(&from, d->metadata.pairs, d->metadata.n_pairs);
}

int decode_descriptor(const uint32_t *payload, uint32_t length, struct descriptor **out,
		      char why[DECODE_WHY_MAX])
{
	struct decoding d;
	int r;

	*out = NULL;
	why[0] = '\0';
	memset(d.fields, 0, sizeof(d.fields));
	if (length > ONEBEAT_LARGE_PAYLOAD)
		return why_plain(why, "the descriptor is %u bytes long, which no slot holds",
				 length);
	r = split(&d, (const uint8_t *)payload, length, why);
	if (r == 0)
		r = check_numbers(&d, why);
	if (r == 0)
		r = check_texts(&d, why);
	if (r == 0)
		r = check_ip(&d, why);
	if (r == 0)
		r = check_metadata(&d, why);
	if (r < 0)
		return r;
	*out = build(&d);
	return *out ? 0 : -ENOMEM;
}
