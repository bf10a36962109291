/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
#include <criterion/criterion.h>

#include "metamap.h"

static struct metamap map;

static void close_map(void)
{
	metamap_deinit(&map);
}

TestSuite(registry_metamap, .fini = close_map);

/* What goes in and how it is listed. */
Test(registry_metamap, takes_objects_of_scalars_and_plain_pairs)
{
	static const char *const cases[][2] = {
		{ "{}", "{}" },
		{ "{\"zone\":\"a\"}", "{\"zone\":\"a\"}" },
		{ " { \"a\" : 1 , \"b\" : -1.5e3 , \"c\" : true } ",
		  "{\"a\":\"1\",\"b\":\"-1.5e3\",\"c\":\"true\"}" },
		{ "{\"a\":null}", "{\"a\":null}" },
		{ "null", "null" },
		{ "{\"q\\\"\\\\\\n\":\"\\u00e9\\ud83d\\ude00/\"}", "{\"q\\\"\\\\\\n\":\"é😀/\"}" },
		{ "{\"a\":\"\\ud83d\"}", "{\"a\":\"\xef\xbf\xbd\"}" },
		{ "a=1,b=2", "{\"a\":\"1\",\"b\":\"2\"}" },
		{ "a=1,", "{\"a\":\"1\"}" },
		{ "a=1=", "{\"a\":\"1\"}" },
		{ "=1", "{\"\":\"1\"}" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(metamap_parse(&map, cases[i][0]), 0, "%s", cases[i][0]);
		cr_assert_str_eq(metamap_json(&map), cases[i][1]);
		metamap_deinit(&map);
	}
}

Test(registry_metamap, refuses_what_an_official_server_refuses)
{
	static const char *const cases[] = {
		"{bad",
		"{\"a\":{\"b\":1}}",
		"{\"a\":[1]}",
		"[\"a\"]",
		"{\"a\":\"b\",}",
		"{\"a\" \"b\"}",
		"{\"a\":\"b\" \"c\":\"d\"}",
		"{\"a\"}",
		"{1:2}",
		"{\"a\":nope}",
		"{\"a\":1x}",
		"\"a\"",
		"a",
		"a=",
		"a=1,b",
		"a=1=2",
		"a=1,,b=2",
		"{\"a\":1}{\"b\":2}",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(metamap_parse(&map, cases[i]), METAMAP_BAD, "%s", cases[i]);
		cr_assert_null(map.json);
	}
}

/* The limit of 1024 counts what Java calls characters. */
Test(registry_metamap, counts_characters_of_keys_and_values_in_utf_16)
{
	cr_assert_eq(metamap_parse(&map, "{\"ab\":\"cde\",\"é\":\"😀\"}"), 0);
	cr_assert_eq(map.n_chars, 2 + 3 + 1 + 2);
}

Test(registry_metamap, reads_the_reserved_times)
{
	cr_assert_eq(metamap_parse(&map, "{\"preserved.heart.beat.interval\":3000,"
					 "\"preserved.heart.beat.timeout\":\"9s\"}"),
		     0);
	cr_assert_eq(metamap_ms(&map.beat_interval, 1, 2), 3000);
	cr_assert_eq(metamap_ms(&map.beat_timeout, 1, 2), 2, "given, but no number");
	cr_assert_eq(metamap_ms(&map.delete_timeout, 1, 2), 1, "absent");
}
