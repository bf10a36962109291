/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_BUILT_H
#define TESTS_LIB_BUILT_H

/*
 * A builder of descriptors, written from segment.h alone: it makes a good one, and a test spoils one thing.
 * A result is in decoded and why, until the next one.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segment/decode.h"
#include <onebeat/onebeat.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A descriptor as a client would write it. */
struct built {
	struct onebeat_numbers numbers;
	uint8_t metadata[ONEBEAT_LARGE_PAYLOAD];
	uint32_t n_metadata;
	union {
		uint8_t bytes[2 * ONEBEAT_LARGE_PAYLOAD];
		uint32_t words[2 * ONEBEAT_LARGE_PAYLOAD / 4];
	};
	uint32_t length;
};

static struct descriptor *decoded;
static char why[DECODE_WHY_MAX];

static inline void drop_decoded(void)
{
	decoded = descriptor_unref(decoded);
}

static inline void set_weight(struct built *b, double weight)
{
	uint64_t bits;

	memcpy(&bits, &weight, sizeof(bits));
	b->numbers.weight_lo = (uint32_t)bits;
	b->numbers.weight_hi = (uint32_t)(bits >> 32);
}

static inline void add_field(struct built *b, uint32_t type, const void *value, size_t length)
{
	const uint16_t head[2] = { (uint16_t)type, (uint16_t)length };

	cr_assert_leq(b->length + 4 + ONEBEAT_PAD4(length), sizeof(b->bytes));
	memcpy(b->bytes + b->length, head, sizeof(head));
	if (length > 0)
		memcpy(b->bytes + b->length + 4, value, length);
	memset(b->bytes + b->length + 4 + length, 0, ONEBEAT_PAD4(length) - length);
	b->length += 4 + (uint32_t)ONEBEAT_PAD4(length);
}

static inline void add_text(struct built *b, enum onebeat_field type, const char *text)
{
	add_field(b, (uint32_t)type, text, strlen(text));
}

static inline void add_pair_bytes(struct built *b, const char *key, size_t n_key, const char *value,
				  size_t n_value)
{
	const uint16_t head[2] = { (uint16_t)n_key, (uint16_t)n_value };

	cr_assert_leq(b->n_metadata + 4 + n_key + n_value, sizeof(b->metadata));
	memcpy(b->metadata + b->n_metadata, head, sizeof(head));
	memcpy(b->metadata + b->n_metadata + 4, key, n_key);
	memcpy(b->metadata + b->n_metadata + 4 + n_key, value, n_value);
	b->n_metadata += 4 + (uint32_t)(n_key + n_value);
}

static inline void add_pair(struct built *b, const char *key, const char *value)
{
	add_pair_bytes(b, key, strlen(key), value, strlen(value));
}

/* Numbers and service; texts and pairs are added to it. */
static inline struct built *build(void)
{
	static struct built b;

	memset(&b, 0, sizeof(b));
	b.numbers.port = 8080;
	b.numbers.flags = ONEBEAT_DESC_ENABLED | ONEBEAT_DESC_EPHEMERAL;
	set_weight(&b, 1.0);
	return &b;
}

/* Puts numbers, a service and the metadata behind what is there. */
static inline void complete(struct built *b)
{
	add_field(b, ONEBEAT_FIELD_NUMBERS, &b->numbers, sizeof(b->numbers));
	add_text(b, ONEBEAT_FIELD_SERVICE, "orders");
	if (b->n_metadata > 0)
		add_field(b, ONEBEAT_FIELD_METADATA, b->metadata, b->n_metadata);
}

/* Decodes exactly the bytes, in a heap block of their size, so that a checker sees a step too far. */
static inline int decode_bytes(const void *bytes, uint32_t length)
{
	uint32_t *exact = malloc(length ? length : 1);
	int r;

	cr_assert_not_null(exact);
	memcpy(exact, bytes, length);
	drop_decoded();
	memset(why, 'x', sizeof(why));
	r = decode_descriptor(exact, length, &decoded, why);
	free(exact);
	return r;
}

static inline int decode(const struct built *b)
{
	return decode_bytes(b->bytes, b->length);
}

static inline void assert_good(const struct built *b)
{
	int r = decode(b);

	cr_assert_eq(r, 0, "%s", why);
	cr_assert_not_null(decoded);
	cr_assert_str_eq(why, "");
}

static inline void assert_sentence(void)
{
	size_t n = strnlen(why, sizeof(why));

	cr_assert(n > 0 && n < sizeof(why), "no whole sentence");
	for (size_t i = 0; i < n; i++)
		cr_assert(why[i] >= 0x20 && why[i] < 0x7f, "byte %zu is not printable", i);
}

/* Refused, with all of these in the sentence. */
static inline void assert_bad(const struct built *b, const char *a, const char *c)
{
	cr_assert_eq(decode(b), -EINVAL, "should say %s %s", a, c);
	cr_assert_null(decoded);
	assert_sentence();
	cr_assert(strstr(why, a) && strstr(why, c), "\"%s\" lacks \"%s\" or \"%s\"", why, a, c);
}

/* Texts and their rules. */
static const struct text_case {
	enum onebeat_field type;
	const char *name;
	uint32_t max;
	const char *marks; /* that are allowed */
} text_cases[] = {
	{ ONEBEAT_FIELD_SERVICE, "service", 255, "._:-" },
	{ ONEBEAT_FIELD_GROUP, "group", 128, "._:-" },
	{ ONEBEAT_FIELD_CLUSTER, "cluster", 64, "-" },
	{ ONEBEAT_FIELD_NAMESPACE, "namespace", 64, "_-" },
	{ ONEBEAT_FIELD_REGISTRY, "registry", 32, "._-" },
};

#endif
