/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * Metadata of descriptors: what a registry would punish is refused here.
 */
#include <stdio.h>

#include "lib/built.h"

TestSuite(metadata, .fini = drop_decoded);

Test(metadata, sixty_four_pairs_and_not_one_more)
{
	for (int n = 64; n <= 65; n++) {
		struct built *b = build();

		for (int i = 0; i < n; i++) {
			char key[16];

			snprintf(key, sizeof(key), "k%d", i);
			add_pair(b, key, "v");
		}
		complete(b);
		if (n == 64)
			assert_good(b);
		else
			assert_bad(b, "metadata", "64 pairs");
	}
	cr_assert_null(decoded);
}

/* The registry counts UTF-16 units: one for most characters, two beyond the 16-bit ones. */
Test(metadata, metadata_is_counted_as_the_registry_counts)
{
	static const struct {
		const char *text;
		uint32_t n_units;
	} chars[] = {
		{ "a", 1 }, { "\xc3\xa9", 1 }, { "\xe4\xb8\xad", 1 }, { "\xf0\x9f\x98\x80", 2 }
	};

	for (size_t i = 0; i < COUNT(chars); i++) {
		for (uint32_t more = 0; more < 2; more++) {
			char value[4 * 1024 + 1] = "";
			size_t n = strlen(chars[i].text);
			uint32_t times = (1024 - 2) / chars[i].n_units;
			struct built *b = build();

			for (uint32_t k = 0; k < times; k++)
				memcpy(value + k * n, chars[i].text, n);
			add_pair_bytes(b, more ? "key" : "ke", more ? 3 : 2, value, times * n);
			complete(b);
			if (more)
				assert_bad(b, "metadata", "1024 characters");
			else
				assert_good(b);
		}
	}
}

Test(metadata, largest_legal_descriptor_fits_a_large_slot)
{
	char text[ONEBEAT_SERVICE_MAX + 1];
	struct built *b = build();
	char value[16 * 3];

	memset(text, 'n', sizeof(text));
	for (size_t i = 0; i < COUNT(text_cases); i++)
		add_field(b, (uint32_t)text_cases[i].type, text, text_cases[i].max);
	add_text(b, ONEBEAT_FIELD_IP, "1111:2222:3333:4444:5555:6666:7777:8888");
	for (size_t i = 0; i < sizeof(value); i += 3)
		memcpy(value + i, "\xe4\xb8\xad", 3);
	for (int i = 0; i < 64; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%02d", i);
		add_pair_bytes(b, key, 2, value, 14 * 3);
	}
	add_field(b, ONEBEAT_FIELD_NUMBERS, &b->numbers, sizeof(b->numbers));
	add_field(b, ONEBEAT_FIELD_METADATA, b->metadata, b->n_metadata);
	cr_assert_leq(b->length, ONEBEAT_LARGE_PAYLOAD);
	assert_good(b);
	cr_assert_eq(decoded->n_metadata, 64);
}

Test(metadata, metadata_is_printable_utf8)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ " ~", true },
		{ "\xc2\xa0", true },         /* U+00A0, the first behind the controls */
		{ "\xdf\xbf", true },         /* U+07FF */
		{ "\xe0\xa0\x80", true },     /* U+0800 */
		{ "\xed\x9f\xbf", true },     /* U+D7FF */
		{ "\xee\x80\x80", true },     /* U+E000 */
		{ "\xef\xbf\xbf", true },     /* U+FFFF */
		{ "\xf0\x90\x80\x80", true }, /* U+10000 */
		{ "\xf4\x8f\xbf\xbf", true }, /* U+10FFFF */
		{ "\n", false },
		{ "\x1f", false },
		{ "\x7f", false },
		{ "\xc2\x80", false }, /* U+0080: a control */
		{ "\xc2\x9b", false }, /* U+009B: terminals take it for ESC [ */
		{ "\x80", false },     /* a continuation alone */
		{ "\xff", false },
		{ "\xc3", false }, /* cut short */
		{ "\xe4\xb8", false },
		{ "\xf0\x9f\x98", false },
		{ "\xc3(", false },    /* no continuation */
		{ "\xc0\x80", false }, /* longer than needed */
		{ "\xc1\xbf", false },
		{ "\xe0\x9f\xbf", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xed\xa0\x80", false }, /* a surrogate */
		{ "\xed\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false }, /* U+110000 */
		{ "\xf5\x80\x80\x80", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		for (int as_key = 0; as_key < 2; as_key++) {
			struct built *b = build();

			add_pair(b, as_key ? cases[i].text : "key", as_key ? "v" : cases[i].text);
			complete(b);
			if (cases[i].good) {
				assert_good(b);
				cr_assert_str_eq(as_key ? decoded->metadata[0].key
							: decoded->metadata[0].value,
						 cases[i].text);
			} else {
				assert_bad(b, as_key ? "metadata key" : "metadata value",
					   "not UTF-8");
			}
		}
	}
}

Test(metadata, nul_in_metadata_is_a_control_character)
{
	struct built *b = build();

	add_pair_bytes(b, "k", 1, "a\0b", 3);
	complete(b);
	assert_bad(b, "metadata value \"a?b\"", "control character");
}

Test(metadata, metadata_keys_are_there_once_and_not_empty)
{
	struct built *b = build();

	add_pair(b, "a", "1");
	add_pair(b, "ab", "1");
	add_pair(b, "A", "1");
	complete(b);
	assert_good(b);
	b = build();
	add_pair(b, "zone", "1");
	add_pair(b, "b", "1");
	add_pair(b, "zone", "2");
	complete(b);
	assert_bad(b, "metadata key \"zone\"", "twice");
	b = build();
	add_pair(b, "", "1");
	complete(b);
	assert_bad(b, "metadata", "empty key");
}

Test(metadata, keys_that_break_servers_are_refused)
{
	static const char *const keys[] = { "publishInstanceWeight", "publishInstanceEnable",
					    "customInstanceId" };

	for (size_t i = 0; i < COUNT(keys); i++) {
		struct built *b = build();

		add_pair(b, keys[i], "x");
		complete(b);
		assert_bad(b, keys[i], "Nacos 2.x");
	}
}

static const char *const time_keys[] = { "preserved.heart.beat.interval",
					 "preserved.heart.beat.timeout",
					 "preserved.ip.delete.timeout" };

Test(metadata, preserved_times_are_digits)
{
	static const char *const bad[] = { "",
					   "0",
					   "000",
					   "15s",
					   "15.0",
					   "-5",
					   "+5",
					   " 5",
					   "5 ",
					   "0x10",
					   "1e3",
					   "2147483648",
					   "99999999999999999999999999" };

	for (size_t k = 0; k < COUNT(time_keys); k++) {
		for (size_t i = 0; i < COUNT(bad); i++) {
			char quoted[40];
			struct built *b = build();

			add_pair(b, time_keys[k], bad[i]);
			complete(b);
			snprintf(quoted, sizeof(quoted), "\"%s\"", bad[i]);
			assert_bad(b, time_keys[k], quoted);
		}
	}
}

Test(metadata, preserved_times_may_be_as_large_as_the_registry_reads)
{
	struct built *b = build();

	add_pair(b, "preserved.heart.beat.timeout", "2147483647");
	add_pair(b, "preserved.ip.delete.timeout", "0000060000");
	complete(b);
	assert_good(b);
}

struct order_case {
	uint32_t beat_ms;
	const char *interval;
	const char *timeout;
	const char *delete;
	uint32_t kept_ms; /* 0: refused */
};

/* The interval is below both time-outs, whoever gave which: equal ones flap. */
Test(metadata, interval_is_below_both_timeouts)
{
	static const struct order_case cases[] = {
		{ 0, NULL, NULL, NULL, 5000 },
		{ 14999, NULL, NULL, NULL, 14999 },
		{ 15000, NULL, NULL, NULL, 0 },
		{ 15000, NULL, "15001", NULL, 15000 },
		{ 30000, NULL, "40000", NULL, 0 },
		{ 30000, NULL, "40000", "30001", 30000 },
		{ 120000, NULL, "130000", "140000", 120000 },
		{ 0, NULL, "5000", NULL, 0 },
		{ 0, NULL, "5001", NULL, 5000 },
		{ 0, NULL, NULL, "5000", 0 },
		{ 0, "2000", "3000", NULL, 2000 },
		{ 0, "3000", "3000", NULL, 0 },
		{ 0, "3000", "4000", "3000", 0 },
		{ 0, "15000", NULL, NULL, 0 },
		{ 0, "1", NULL, NULL, 1000 },
		{ 0, "900", "1000", NULL, 0 }, /* the period is 1000 */
		{ 0, "900", "1001", NULL, 1000 },
		{ 0, "900", NULL, "1000", 0 },
		{ 0, "200000", "300000", "300000", 120000 },
		{ 4000, "2000", "3000", NULL, 0 },
		{ 2000, "4000", "3000", NULL, 0 },
		{ 2000, "1000", "3000", NULL, 2000 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *values[] = { cases[i].interval, cases[i].timeout, cases[i].delete };
		struct built *b = build();

		b->numbers.beat_ms = cases[i].beat_ms;
		for (int k = 0; k < 3; k++) {
			if (values[k])
				add_pair(b, time_keys[k], values[k]);
		}
		complete(b);
		if (cases[i].kept_ms == 0) {
			assert_bad(b, "beat interval", "is not below");
			continue;
		}
		assert_good(b);
		cr_assert_eq(decoded->beat_ms, cases[i].kept_ms, "case %zu", i);
	}
}

Test(metadata, metadata_that_ends_inside_a_pair_is_refused)
{
	struct built *good = build();
	uint32_t whole;

	add_pair(good, "zone", "a");
	whole = good->n_metadata;
	for (uint32_t n = 1; n < whole; n++) {
		struct built *b = build();

		add_pair(b, "zone", "a");
		b->n_metadata = n;
		complete(b);
		assert_bad(b, "metadata", "ends inside pair 1");
	}
}

Test(metadata, pair_lengths_beyond_everything_are_not_followed)
{
	static const uint16_t lengths[][2] = {
		{ 0xffff, 0 }, { 0, 0xffff }, { 0xffff, 0xffff }, { 5, 0xfffc }, { 0x8000, 0x8000 },
	};

	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct built *b = build();

		add_pair(b, "zone", "a");
		memcpy(b->metadata, lengths[i], sizeof(lengths[i]));
		complete(b);
		assert_bad(b, "metadata", "ends inside");
	}
}
