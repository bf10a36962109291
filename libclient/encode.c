/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors, to bytes
 *
 * Encoding 1 of segment.h: fields of type, length, value and zero padding. Numbers come first, so that
 * switching an instance on and off rewrites one word; the texts of the key follow, in a fixed order. Defaults are
 * left out, and an ip is written in its canonical form, so that two specs that mean the same instance give the
 * same bytes: comparing instances is comparing memory. The spec has been checked before, so everything fits
 * (static assert in segment.h).
 */
#include "encode.h"

#include <arpa/inet.h>
#include <string.h>

#define NUMBERS_WORD 1u /* behind the field's head */
#define WORD_OF(member) (NUMBERS_WORD + offsetof(struct onebeat_numbers, member) / 4)
#define TEXTS_WORD (NUMBERS_WORD + sizeof(struct onebeat_numbers) / 4)

static uint8_t *bytes_of(struct encoded *e)
{
	return (uint8_t *)e->words;
}

static void append(struct encoded *e, const void *bytes, size_t n)
{
	memcpy(bytes_of(e) + e->length, bytes, n);
	e->length += (uint32_t)n;
}

static void append_lengths(struct encoded *e, size_t first, size_t second)
{
	const uint16_t head[2] = { (uint16_t)first, (uint16_t)second };

	append(e, head, sizeof(head));
}

static void pad(struct encoded *e)
{
	static const uint8_t zeros[4];

	append(e, zeros, ONEBEAT_PAD4(e->length) - e->length);
}

static void append_field(struct encoded *e, enum onebeat_field type, const void *value, size_t n)
{
	append_lengths(e, type, n);
	append(e, value, n);
	pad(e);
}

static void append_numbers(struct encoded *e, const struct onebeat_spec *spec)
{
	const double weight = spec->weight + 0.0; /* -0.0 becomes 0.0 */
	struct onebeat_numbers n = {
		.port = spec->port,
		.policy = spec->policy,
		.beat_ms = spec->beat_ms,
		.progress_timeout_ms = spec->progress_timeout_ms,
	};
	uint64_t bits;

	if (spec->enabled)
		n.flags |= ONEBEAT_DESC_ENABLED;
	if (spec->ephemeral)
		n.flags |= ONEBEAT_DESC_EPHEMERAL;
	if (spec->flags & ONEBEAT_WHEN_LISTENING)
		n.flags |= ONEBEAT_DESC_WHEN_LISTENING;
	memcpy(&bits, &weight, sizeof(bits));
	n.weight_lo = (uint32_t)bits;
	n.weight_hi = (uint32_t)(bits >> 32);
	append_field(e, ONEBEAT_FIELD_NUMBERS, &n, sizeof(n));
}

static void append_text(struct encoded *e, enum onebeat_field type, const char *text,
			const char *standard)
{
	if (text && text[0] && strcmp(text, standard) != 0)
		append_field(e, type, text, strlen(text));
}

/* IPv4 has one form alone. */
static void append_ip(struct encoded *e, const char *ip)
{
	char canonical[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (ip && strchr(ip, ':') && inet_pton(AF_INET6, ip, &address) == 1 &&
	    inet_ntop(AF_INET6, &address, canonical, sizeof(canonical)))
		ip = canonical;
	append_text(e, ONEBEAT_FIELD_IP, ip, "");
}

static void append_metadata(struct encoded *e, const struct onebeat_metadata *pairs, uint32_t n)
{
	const uint32_t start = e->length;
	uint32_t value_start;
	uint16_t length;

	if (n == 0)
		return;
	append_lengths(e, ONEBEAT_FIELD_METADATA, 0);
	value_start = e->length;
	for (uint32_t i = 0; i < n; i++) {
		const size_t n_key = strlen(pairs[i].key);
		const size_t n_value = strlen(pairs[i].value);

		append_lengths(e, n_key, n_value);
		append(e, pairs[i].key, n_key);
		append(e, pairs[i].value, n_value);
	}
	length = (uint16_t)(e->length - value_start);
	memcpy(bytes_of(e) + start + sizeof(uint16_t), &length, sizeof(length));
	pad(e);
}

void onebeat__encode(const struct onebeat_spec *spec, struct encoded *out)
{
	out->length = 0;
	append_numbers(out, spec);
	append_text(out, ONEBEAT_FIELD_SERVICE, spec->service, "");
	append_text(out, ONEBEAT_FIELD_GROUP, spec->group, "DEFAULT_GROUP");
	append_text(out, ONEBEAT_FIELD_NAMESPACE, spec->namespace_id, "");
	append_text(out, ONEBEAT_FIELD_REGISTRY, spec->registry, "");
	append_ip(out, spec->ip);
	out->key_end = out->length;
	append_text(out, ONEBEAT_FIELD_CLUSTER, spec->cluster, "DEFAULT");
	out->identity_end = out->length;
	append_metadata(out, spec->metadata, spec->n_metadata);
}

void onebeat__encode_copy(struct encoded *to, const struct encoded *from)
{
	to->length = from->length;
	to->key_end = from->key_end;
	to->identity_end = from->identity_end;
	memcpy(to->words, from->words, from->length);
}

void onebeat__encode_set_enabled(struct encoded *e, bool enabled)
{
	if (enabled)
		e->words[WORD_OF(flags)] |= ONEBEAT_DESC_ENABLED;
	else
		e->words[WORD_OF(flags)] &= ~(uint32_t)ONEBEAT_DESC_ENABLED;
}

/* The texts behind the numbers. */
static bool same_texts(const struct encoded *a, uint32_t a_end, const struct encoded *b,
		       uint32_t b_end)
{
	return a_end == b_end &&
	       memcmp(a->words + TEXTS_WORD, b->words + TEXTS_WORD, a_end - TEXTS_WORD * 4) == 0;
}

bool onebeat__encode_same_key(const struct encoded *a, const struct encoded *b)
{
	return a->words[WORD_OF(port)] == b->words[WORD_OF(port)] &&
	       same_texts(a, a->key_end, b, b->key_end);
}

bool onebeat__encode_same_identity(const struct encoded *a, const struct encoded *b)
{
	const uint32_t flags = a->words[WORD_OF(flags)] ^ b->words[WORD_OF(flags)];

	return a->words[WORD_OF(port)] == b->words[WORD_OF(port)] &&
	       same_texts(a, a->identity_end, b, b->identity_end) &&
	       !(flags & ONEBEAT_DESC_EPHEMERAL) &&
	       a->words[WORD_OF(policy)] == b->words[WORD_OF(policy)];
}
