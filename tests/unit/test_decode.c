/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * Descriptors from bytes: defaults, texts, addresses, numbers.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "lib/built.h"

TestSuite(decode, .fini = drop_decoded);

Test(decode, what_is_left_out_gets_its_default)
{
	struct built *b = build();

	complete(b);
	assert_good(b);
	cr_assert_str_eq(decoded->service, "orders");
	cr_assert_str_eq(decoded->group, "DEFAULT_GROUP");
	cr_assert_str_eq(decoded->cluster, "DEFAULT");
	cr_assert_str_eq(decoded->namespace_id, "");
	cr_assert_str_eq(decoded->registry, "");
	cr_assert_str_eq(decoded->ip, "");
	cr_assert_eq(decoded->beat_ms, 5000);
	cr_assert_eq(decoded->n_metadata, 0);
	cr_assert(decoded->enabled && decoded->ephemeral && !decoded->when_listening);
}

Test(decode, empty_fields_count_as_left_out)
{
	struct built *b = build();

	for (int type = ONEBEAT_FIELD_GROUP; type <= ONEBEAT_FIELD_METADATA; type++)
		add_field(b, (uint32_t)type, "", 0);
	complete(b);
	assert_good(b);
	cr_assert_str_eq(decoded->group, "DEFAULT_GROUP");
	cr_assert_str_eq(decoded->cluster, "DEFAULT");
	cr_assert_str_eq(decoded->ip, "");
}

Test(decode, everything_given_arrives)
{
	struct built *b = build();

	add_text(b, ONEBEAT_FIELD_GROUP, "G.r_o:u-p");
	add_text(b, ONEBEAT_FIELD_CLUSTER, "HZ-1");
	add_text(b, ONEBEAT_FIELD_NAMESPACE, "dev_1-x");
	add_text(b, ONEBEAT_FIELD_REGISTRY, "r.1_a-b");
	add_text(b, ONEBEAT_FIELD_IP, "10.1.2.3");
	b->numbers.port = 65535;
	b->numbers.flags = ONEBEAT_DESC_WHEN_LISTENING;
	b->numbers.policy = ONEBEAT_OWNER;
	b->numbers.beat_ms = 7000;
	b->numbers.progress_timeout_ms = 30000;
	set_weight(b, 2.5);
	add_pair(b, "zone", "a");
	add_pair(b, "empty", "");
	complete(b);
	assert_good(b);
	cr_assert_str_eq(decoded->group, "G.r_o:u-p");
	cr_assert_str_eq(decoded->cluster, "HZ-1");
	cr_assert_str_eq(decoded->namespace_id, "dev_1-x");
	cr_assert_str_eq(decoded->registry, "r.1_a-b");
	cr_assert_str_eq(decoded->ip, "10.1.2.3");
	cr_assert_eq(decoded->port, 65535);
	cr_assert(!decoded->enabled && !decoded->ephemeral && decoded->when_listening);
	cr_assert_eq(decoded->policy, ONEBEAT_OWNER);
	cr_assert_eq(decoded->beat_ms, 7000);
	cr_assert_eq(decoded->progress_timeout_ms, 30000);
	cr_assert_eq(decoded->weight, 2.5);
	cr_assert_eq(decoded->n_metadata, 2);
	cr_assert_str_eq(decoded->metadata[0].key, "zone");
	cr_assert_str_eq(decoded->metadata[0].value, "a");
	cr_assert_str_eq(decoded->metadata[1].key, "empty");
	cr_assert_str_eq(decoded->metadata[1].value, "");
}

/* Texts. */

Test(decode, service_is_required)
{
	struct built *b = build();

	add_field(b, ONEBEAT_FIELD_NUMBERS, &b->numbers, sizeof(b->numbers));
	assert_bad(b, "service", "empty");
	add_field(b, ONEBEAT_FIELD_SERVICE, "", 0);
	assert_bad(b, "service", "empty");
}

static void build_with(struct built *b, const struct text_case *c, const void *text, size_t n)
{
	add_field(b, ONEBEAT_FIELD_NUMBERS, &b->numbers, sizeof(b->numbers));
	if (c->type != ONEBEAT_FIELD_SERVICE)
		add_text(b, ONEBEAT_FIELD_SERVICE, "orders");
	add_field(b, (uint32_t)c->type, text, n);
}

Test(decode, texts_end_at_their_limit)
{
	char text[512];

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < COUNT(text_cases); i++) {
		const struct text_case *c = &text_cases[i];
		char limit[16];
		struct built *b = build();

		build_with(b, c, text, c->max);
		assert_good(b);
		b = build();
		build_with(b, c, text, c->max + 1);
		snprintf(limit, sizeof(limit), "%u bytes", c->max);
		assert_bad(b, c->name, limit);
		cr_assert(strstr(why, "\"aaa"), "the value is shown: %s", why);
		if (c->max > 40)
			cr_assert(strstr(why, "a...\""), "and is cut: %s", why);
	}
}

Test(decode, texts_take_their_characters_and_no_others)
{
	for (size_t i = 0; i < COUNT(text_cases); i++) {
		const struct text_case *c = &text_cases[i];

		for (int byte = 0; byte < 256; byte++) {
			const char text[] = { 'a', (char)byte, 'z' };
			bool fine = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
				    (byte >= 'A' && byte <= 'Z') ||
				    (byte != 0 && strchr(c->marks, byte));
			struct built *b = build();

			build_with(b, c, text, sizeof(text));
			if (fine)
				assert_good(b);
			else
				assert_bad(b, c->name, "has a character outside");
		}
	}
}

/* ip */

Test(decode, one_address_has_one_form)
{
	static const struct {
		const char *given;
		const char *kept;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.1" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::1", "::1" },
		{ "0:0:0:0:0:0:0:1", "::1" },
		{ "::0001", "::1" },
		{ "FE80::00AB", "fe80::ab" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1" },
		{ "::ffff:10.0.0.1", "::ffff:10.0.0.1" },
		{ "::FFFF:0a00:0001", "::ffff:10.0.0.1" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct built *b = build();

		add_text(b, ONEBEAT_FIELD_IP, cases[i].given);
		complete(b);
		assert_good(b);
		cr_assert_str_eq(decoded->ip, cases[i].kept);
	}
}

Test(decode, what_is_no_address_is_refused)
{
	static const char *const cases[] = {
		"010.0.0.1",
		"10.0.0.01",
		"10.0.0",
		"10.0.0.256",
		"10.0.0.1.",
		"0x0a000001",
		"167772161",
		"localhost",
		"10.0.0.1 ",
		" 10.0.0.1",
		"[::1]",
		"fe80::1%eth0",
		":::1",
		"1:2:3:4:5:6:7:8:9",
		"g::1",
		"10.0.0.1:80",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0001",
		"-1.0.0.0",
		":",
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct built *b = build();

		add_text(b, ONEBEAT_FIELD_IP, cases[i]);
		complete(b);
		assert_bad(b, "ip \"", "is not a numeric IPv4 or IPv6 address");
	}
}

Test(decode, address_with_something_behind_a_nul_is_refused)
{
	struct built *b = build();

	add_field(b, ONEBEAT_FIELD_IP, "10.0.0.1\0x", 10);
	complete(b);
	assert_bad(b, "ip \"10.0.0.1?x\"", "");
}

/* Numbers. */

Test(decode, numbers_are_required_and_of_one_size)
{
	struct built *b = build();
	uint8_t numbers[64] = { 0 };

	add_text(b, ONEBEAT_FIELD_SERVICE, "orders");
	assert_bad(b, "numbers", "28");
	for (uint32_t n = 0; n <= sizeof(numbers); n += 4) {
		b = build();
		memcpy(numbers, &b->numbers, sizeof(b->numbers));
		add_text(b, ONEBEAT_FIELD_SERVICE, "orders");
		add_field(b, ONEBEAT_FIELD_NUMBERS, numbers, n);
		if (n == sizeof(b->numbers))
			assert_good(b);
		else
			assert_bad(b, "numbers", "28");
	}
}

struct number_case {
	size_t offset;
	uint32_t value;
	const char *field; /* NULL: good */
};

#define NUMBER(member) offsetof(struct onebeat_numbers, member)

Test(decode, numbers_have_their_ranges)
{
	static const struct number_case cases[] = {
		{ NUMBER(port), 0, "port 0" },
		{ NUMBER(port), 1, NULL },
		{ NUMBER(port), 65535, NULL },
		{ NUMBER(port), 65536, "port 65536" },
		{ NUMBER(port), 65536 + 8080, "port 73616" },
		{ NUMBER(port), UINT32_MAX, "port 4294967295" },
		{ NUMBER(flags), 0, NULL },
		{ NUMBER(flags), 7, NULL },
		{ NUMBER(flags), 8, "flags 0x8" },
		{ NUMBER(flags), 0x80000001, "flags 0x80000001" },
		{ NUMBER(policy), 1, NULL },
		{ NUMBER(policy), 2, "policy 2" },
		{ NUMBER(policy), 256, "policy 256" },
		{ NUMBER(beat_ms), 0, NULL },
		{ NUMBER(beat_ms), 1, "beat_ms 1" },
		{ NUMBER(beat_ms), 999, "beat_ms 999" },
		{ NUMBER(beat_ms), 1000, NULL },
		{ NUMBER(beat_ms), 120001, "beat_ms 120001" },
		{ NUMBER(progress_timeout_ms), 0, NULL },
		{ NUMBER(progress_timeout_ms), 999, "progress_timeout_ms 999" },
		{ NUMBER(progress_timeout_ms), 1000, NULL },
		{ NUMBER(progress_timeout_ms), 86400000, NULL },
		{ NUMBER(progress_timeout_ms), 86400001, "progress_timeout_ms 86400001" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct built *b = build();

		memcpy((uint8_t *)&b->numbers + cases[i].offset, &cases[i].value, 4);
		complete(b);
		if (cases[i].field)
			assert_bad(b, cases[i].field, " ");
		else
			assert_good(b);
	}
}

Test(decode, weight_is_a_number_in_its_range)
{
	const double good[] = { 0.0, DBL_MIN, 0.5, 1.0, 9999.999, 10000.0 };
	const double bad[] = { -DBL_MIN, -1.0, 10000.001, 1e300, INFINITY, -INFINITY, NAN, -NAN };

	for (size_t i = 0; i < COUNT(good); i++) {
		struct built *b = build();

		set_weight(b, good[i]);
		complete(b);
		assert_good(b);
		cr_assert_eq(decoded->weight, good[i]);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct built *b = build();

		set_weight(b, bad[i]);
		complete(b);
		assert_bad(b, "weight", "0..10000");
	}
}

Test(decode, minus_zero_is_the_weight_zero)
{
	struct built *b = build();

	set_weight(b, -0.0);
	complete(b);
	assert_good(b);
	cr_assert(!signbit(decoded->weight));
}
