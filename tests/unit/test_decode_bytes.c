/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * Descriptors from bytes that nobody in his right mind would write.
 */

#include "lib/built.h"

TestSuite(decode_bytes, .fini = drop_decoded);

Test(decode_bytes, nothing_at_all_is_no_descriptor)
{
	cr_assert_eq(decode_bytes("", 0), -EINVAL);
	assert_sentence();
}

Test(decode_bytes, longer_than_any_slot_is_refused)
{
	struct built *b = build();

	complete(b);
	while (b->length <= ONEBEAT_LARGE_PAYLOAD)
		add_field(b, 100, "filler", 6);
	assert_bad(b, "descriptor", "no slot holds");
}

Test(decode_bytes, field_twice_is_refused)
{
	static const char *const names[] = { "numbers",   "service",  "group", "cluster",
					     "namespace", "registry", "ip",    "metadata" };

	for (uint32_t type = ONEBEAT_FIELD_NUMBERS; type <= ONEBEAT_FIELD_METADATA; type++) {
		struct built *b = build();

		add_field(b, type, "", 0);
		add_field(b, type, "", 0);
		complete(b);
		assert_bad(b, names[type - 1], "twice");
	}
}

Test(decode_bytes, unknown_fields_are_skipped_unless_they_forbid_it)
{
	static const uint32_t types[] = { 0, 9, 100, 0x7fff };

	for (size_t i = 0; i < COUNT(types); i++) {
		struct built *b = build();

		add_field(b, types[i], "later", 5);
		complete(b);
		add_field(b, types[i], "again", 5);
		assert_good(b);
		b = build();
		complete(b);
		add_field(b, types[i] | ONEBEAT_FIELD_INCOMPAT, "later", 5);
		assert_bad(b, "field type 0x", "may not be skipped");
	}
	/* The mark makes another type of a known one. */
	for (uint32_t type = 1; type <= ONEBEAT_FIELD_METADATA; type++) {
		struct built *b = build();

		complete(b);
		add_field(b, type | ONEBEAT_FIELD_INCOMPAT, "", 0);
		assert_bad(b, "field type 0x800", "may not be skipped");
	}
}

Test(decode_bytes, padding_is_zero)
{
	struct built *b = build();

	add_text(b, ONEBEAT_FIELD_GROUP, "g");
	complete(b);
	for (uint32_t i = 5; i < 8; i++) {
		b->bytes[i] = 1;
		assert_bad(b, "field type 0x3", "padded");
		b->bytes[i] = 0;
	}
	assert_good(b);
}

Test(decode_bytes, last_fields_padding_may_be_missing)
{
	struct built *b = build();

	complete(b); /* ends in "orders" and two bytes of padding */
	b->length -= 2;
	assert_good(b);
	cr_assert_str_eq(decoded->service, "orders");
}

static struct built *full(void)
{
	struct built *b = build();

	for (size_t i = 0; i < COUNT(text_cases); i++) {
		if (text_cases[i].type != ONEBEAT_FIELD_SERVICE)
			add_text(b, text_cases[i].type, "text-1");
	}
	add_text(b, ONEBEAT_FIELD_IP, "fe80::1:2");
	add_pair(b, "zone", "\xe4\xb8\xad");
	add_pair(b, "preserved.heart.beat.timeout", "20000");
	complete(b);
	return b;
}

Test(decode_bytes, cut_at_any_byte_is_refused_or_a_descriptor)
{
	const struct built *b = full();
	uint32_t n_good = 0;

	for (uint32_t n = 0; n <= b->length; n++) {
		int r = decode_bytes(b->bytes, n);

		n_good += r == 0;
		cr_assert(r == 0 || r == -EINVAL);
		cr_assert_eq(r == 0, decoded != NULL);
		if (r < 0)
			assert_sentence();
	}
	/* Whole; without its metadata; and with the service's padding missing. */
	cr_assert(n_good >= 2 && n_good <= 5, "%u", n_good);
}

/* Whatever stands there: a descriptor that keeps the rules, or a sentence. */
static void assert_sane(int r)
{
	cr_assert(r == 0 || r == -EINVAL);
	if (r < 0) {
		cr_assert_null(decoded);
		assert_sentence();
		return;
	}
	cr_assert_gt(strlen(decoded->service), 0);
	cr_assert_leq(strlen(decoded->service), ONEBEAT_SERVICE_MAX);
	cr_assert_gt(decoded->port, 0);
	cr_assert(decoded->beat_ms >= 1000 && decoded->beat_ms <= 120000);
	cr_assert(decoded->weight >= 0 && decoded->weight <= 10000);
	cr_assert_leq(decoded->n_metadata, ONEBEAT_METADATA_PAIRS_MAX);
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

Test(decode_bytes, any_garbage_ends_in_a_descriptor_or_a_sentence)
{
	const struct built *b = full();
	uint32_t n_good = 0;
	uint32_t random = 1;

	for (int round = 0; round < 60000; round++) {
		uint8_t bytes[ONEBEAT_LARGE_PAYLOAD];
		uint32_t length = b->length;

		memcpy(bytes, b->bytes, length);
		for (uint32_t n = next_random(&random) % 4 + 1; n > 0; n--)
			bytes[next_random(&random) % length] = (uint8_t)next_random(&random);
		if (round % 4 == 0)
			length = next_random(&random) % length;
		assert_sane(decode_bytes(bytes, length));
		n_good += decoded != NULL;
	}
	cr_assert_gt(n_good, 100, "some survive, or this looks at the first rule only");
}

Test(decode_bytes, pure_noise_ends_in_a_sentence)
{
	uint32_t random = 7;

	for (int round = 0; round < 5000; round++) {
		uint32_t words[64];

		for (size_t i = 0; i < COUNT(words); i++)
			words[i] = next_random(&random);
		assert_sane(decode_bytes(words, next_random(&random) % sizeof(words)));
	}
}
