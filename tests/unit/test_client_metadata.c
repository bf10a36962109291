/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/* The rules of metadata, each spoilt once, and its lengths as the registry counts them: in UTF-16 units. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/client_rig.h"

#define PORT 8080

static struct client_rig rig;

static void set_up(void)
{
	client_rig_init(&rig);
	client_rig_open(&rig, NULL);
}

static void tear_down(void)
{
	client_rig_deinit(&rig);
}

TestSuite(client_metadata, .init = set_up, .fini = tear_down);

static int judged_n(const struct onebeat_metadata *pairs, uint32_t n)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *inst;
	int r;

	spec.metadata = pairs;
	spec.n_metadata = n;
	r = onebeat_register(rig.ob, &spec, &inst);
	if (r == 0)
		cr_assert_eq(onebeat_deregister(inst), 0);
	return r;
}

static int judged(const char *key, const char *value)
{
	const struct onebeat_metadata pair = { key, value };

	return judged_n(&pair, 1);
}

#define BEAT "preserved.heart.beat.interval"
#define TIMEOUT "preserved.heart.beat.timeout"
#define REMOVAL "preserved.ip.delete.timeout"

static const struct pair_case {
	const char *key;
	const char *value;
	int code;
} pair_cases[] = {
	{ "k", "v", 0 },
	{ "k", "", 0 },
	{ "k", NULL, ONEBEAT_E_METADATA_EMPTY },
	{ "", "v", ONEBEAT_E_METADATA_EMPTY },
	{ NULL, "v", ONEBEAT_E_METADATA_EMPTY },
	{ "publishInstanceWeight", "1", ONEBEAT_E_METADATA_RESERVED },
	{ "publishInstanceEnable", "1", ONEBEAT_E_METADATA_RESERVED },
	{ "customInstanceId", "1", ONEBEAT_E_METADATA_RESERVED },
	{ "customInstanceIds", "1", 0 },
	{ "CustomInstanceId", "1", 0 },
	{ BEAT, "4000", 0 },
	{ BEAT, "", ONEBEAT_E_METADATA_TIMES },
	{ BEAT, "0", ONEBEAT_E_METADATA_TIMES },
	{ BEAT, "-1", ONEBEAT_E_METADATA_TIMES },
	{ BEAT, "+4000", ONEBEAT_E_METADATA_TIMES },
	{ BEAT, "4000 ", ONEBEAT_E_METADATA_TIMES },
	{ BEAT, "5s", ONEBEAT_E_METADATA_TIMES },
	{ BEAT, "0x10", ONEBEAT_E_METADATA_TIMES },
	{ BEAT, "14999", 0 },
	{ BEAT, "15000", ONEBEAT_E_METADATA_ORDER },
	{ TIMEOUT, "2147483647", 0 },
	{ TIMEOUT, "2147483648", ONEBEAT_E_METADATA_TIMES },
	{ TIMEOUT, "18446744073709551617", ONEBEAT_E_METADATA_TIMES },
	{ TIMEOUT, "x", ONEBEAT_E_METADATA_TIMES },
	{ TIMEOUT, "5001", 0 },
	{ TIMEOUT, "5000", ONEBEAT_E_METADATA_ORDER },
	{ REMOVAL, "x", ONEBEAT_E_METADATA_TIMES },
	{ REMOVAL, "5001", 0 },
	{ REMOVAL, "5000", ONEBEAT_E_METADATA_ORDER },
};

Test(client_metadata, pair_is_judged_by_its_own_rule)
{
	for (size_t i = 0; i < sizeof(pair_cases) / sizeof(pair_cases[0]); i++) {
		const struct pair_case *c = &pair_cases[i];

		cr_expect_eq(judged(c->key, c->value), c->code, "%s=%s", c->key ? c->key : "NULL",
			     c->value ? c->value : "NULL");
	}
}

Test(client_metadata, same_key_twice_is_refused)
{
	const struct onebeat_metadata pairs[] = { { "a", "1" }, { "b", "2" }, { "a", "1" } };

	cr_assert_eq(judged_n(pairs, 2), 0);
	cr_assert_eq(judged_n(pairs, 3), ONEBEAT_E_METADATA_TWICE);
}

/* The agent beats once a second at most, so a shorter time-out would have the instance flap. */
Test(client_metadata, timeout_is_above_the_shortest_period)
{
	struct onebeat_metadata pairs[] = { { BEAT, "900" }, { TIMEOUT, "1000" } };

	cr_assert_eq(judged_n(pairs, 2), ONEBEAT_E_METADATA_ORDER);
	pairs[1].value = "1001";
	cr_assert_eq(judged_n(pairs, 2), 0);
	pairs[1].key = REMOVAL;
	pairs[1].value = "1000";
	cr_assert_eq(judged_n(pairs, 2), ONEBEAT_E_METADATA_ORDER);
}

Test(client_metadata, pairs_are_64_at_most)
{
	struct onebeat_metadata pairs[ONEBEAT_METADATA_PAIRS_MAX + 1];
	char keys[ONEBEAT_METADATA_PAIRS_MAX + 1][8];

	for (uint32_t i = 0; i <= ONEBEAT_METADATA_PAIRS_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		pairs[i] = (struct onebeat_metadata){ keys[i], "v" };
	}
	cr_assert_eq(judged_n(pairs, ONEBEAT_METADATA_PAIRS_MAX), 0);
	cr_assert_eq(judged_n(pairs, ONEBEAT_METADATA_PAIRS_MAX + 1), ONEBEAT_E_METADATA_MANY);
}

/* A value of n times the same character, after a key of one unit. */
static int judged_units(const char *character, uint32_t n)
{
	static char value[8192];
	size_t size = strlen(character);

	for (uint32_t i = 0; i < n; i++)
		memcpy(value + i * size, character, size);
	value[n * size] = '\0';
	return judged("k", value);
}

Test(client_metadata, length_counts_in_utf16_units)
{
	cr_expect_eq(judged_units("a", 1023), 0);
	cr_expect_eq(judged_units("a", 1024), ONEBEAT_E_METADATA_LONG);
	cr_expect_eq(judged_units("\xc3\xa9", 1023), 0, "two bytes are one unit");
	cr_expect_eq(judged_units("\xc3\xa9", 1024), ONEBEAT_E_METADATA_LONG);
	cr_expect_eq(judged_units("\xe4\xb8\x80", 1023), 0, "three bytes are one unit");
	cr_expect_eq(judged_units("\xe4\xb8\x80", 1024), ONEBEAT_E_METADATA_LONG);
	cr_expect_eq(judged_units("\xf0\x9f\x98\x80", 511), 0, "four bytes are two units");
	cr_expect_eq(judged_units("\xf0\x9f\x98\x80", 512), ONEBEAT_E_METADATA_LONG);
}

Test(client_metadata, keys_count_like_values)
{
	static char long_key[1026];
	const struct onebeat_metadata pairs[] = { { long_key, "" }, { "k", "vv" } };

	memset(long_key, 'x', 1021);
	cr_assert_eq(judged_n(pairs, 2), 0);
	long_key[1021] = 'x';
	cr_assert_eq(judged_n(pairs, 2), ONEBEAT_E_METADATA_LONG);
}

static const struct {
	const char *text;
	bool good;
} utf8[] = {
	{ "\xc2\xa0", true }, /* the first after the C1 controls */
	{ "\xdf\xbf", true },
	{ "\xe0\xa0\x80", true },
	{ "\xed\x9f\xbf", true },
	{ "\xee\x80\x80", true },
	{ "\xef\xbf\xbf", true },
	{ "\xf0\x90\x80\x80", true },
	{ "\xf4\x8f\xbf\xbf", true },
	{ "\x80", false },
	{ "\xc0\x80", false }, /* longer than need be */
	{ "\xc1\xbf", false },
	{ "\xe0\x9f\xbf", false },
	{ "\xf0\x8f\xbf\xbf", false },
	{ "\xed\xa0\x80", false }, /* surrogates */
	{ "\xed\xbf\xbf", false },
	{ "\xf4\x90\x80\x80", false }, /* beyond the last */
	{ "\xf5\x80\x80\x80", false },
	{ "\xff", false },
	{ "\xe4\xb8", false }, /* cut */
	{ "\xe4\xb8x", false },
	{ "\xf0\x9f\x98", false },
	{ "\xc2\x80", false }, /* controls, C1 */
	{ "\xc2\x9f", false },
	{ "\x7f", false },
	{ "\x1f", false },
	{ "\x01", false },
	{ "\n", false },
	{ "\t", false },
	{ " ", true },
	{ "~", true },
};

Test(client_metadata, text_is_utf8_without_controls)
{
	for (size_t i = 0; i < sizeof(utf8) / sizeof(utf8[0]); i++) {
		int code = utf8[i].good ? 0 : ONEBEAT_E_METADATA_CHARS;

		cr_expect_eq(judged("k", utf8[i].text), code, "value %zu", i);
		cr_expect_eq(judged(utf8[i].text, "v"), code, "key %zu", i);
	}
}

Test(client_metadata, beat_of_spec_and_of_metadata_both_count)
{
	const struct onebeat_metadata pairs[] = { { BEAT, "6000" }, { TIMEOUT, "7000" } };
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *inst;

	spec.metadata = pairs;
	spec.n_metadata = 2;
	spec.beat_ms = 6999;
	cr_assert_eq(onebeat_register(rig.ob, &spec, &inst), 0);
	spec.beat_ms = 7000;
	cr_assert_eq(onebeat_update(inst, &spec), ONEBEAT_E_METADATA_ORDER);
}
