/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values on the wire: numbers, JSON strings, and the two kinds of percent-encoding
 */
#include <criterion/criterion.h>

#include <float.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacos/encode.h"

/*
 * Each of the 255 bytes that a text can hold: what stays is the mode's set, what goes is two
 * digits.
 */
static void expect_encoding(enum encode_mode mode, const char *stays, char blank)
{
	for (int c = 1; c < 256; c++) {
		const char text[2] = { (char)c, '\0' };
		char want[4];
		char buf[8];
		struct encode e;

		snprintf(want, sizeof(want), "%%%02X", (unsigned int)c);
		if (strchr(stays, c))
			snprintf(want, sizeof(want), "%c", c);
		else if (c == ' ' && blank)
			snprintf(want, sizeof(want), "%c", blank);
		encode_init(&e, mode, buf, sizeof(buf));
		encode_text(&e, text);
		cr_expect_eq(encode_end(&e), strlen(want));
		cr_expect_str_eq(buf, want);
	}
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

Test(nacos_encode, query_keeps_what_rfc_3986_leaves_unreserved)
{
	expect_encoding(ENCODE_QUERY, ALNUM "-._~", 0);
}

Test(nacos_encode, form_keeps_what_browsers_and_java_keep)
{
	expect_encoding(ENCODE_FORM, ALNUM "-._*", '+');
}

/*
 * A control character cannot come from a valid descriptor; if it did, it would stay inside its JSON
 * string.
 */
Test(nacos_encode, json_escapes_control_characters)
{
	char buf[128];
	struct encode e;

	encode_init(&e, ENCODE_FORM, buf, sizeof(buf));
	encode_json_string(&e, "a\nb\x01\x7f");
	cr_expect(encode_end(&e) > 0);
	cr_expect_str_eq(buf, "%22a%5Cu000ab%5Cu0001%7F%22");
}

static void expect_double(double value, const char *want)
{
	char buf[64];
	struct encode e;

	encode_init(&e, ENCODE_QUERY, buf, sizeof(buf));
	encode_double(&e, value);
	cr_expect(encode_end(&e) > 0);
	cr_expect_str_eq(buf, want, "%s instead of %s", buf, want);
	cr_expect(strtod(buf, NULL) >= value && strtod(buf, NULL) <= value, "%s read back", buf);
}

Test(nacos_encode, weights_are_shortest_and_have_a_decimal)
{
	expect_double(1, "1.0");
	expect_double(0, "0.0");
	expect_double(10000, "10000.0");
	expect_double(100, "100.0");
	expect_double(0.5, "0.5");
	expect_double(0.1, "0.1");
	expect_double(0.01, "0.01");
	expect_double(0.001, "0.001");
	expect_double(0.0001, "1.0E-4");
	expect_double(12.625, "12.625");
	expect_double(1234.5678, "1234.5678");
	expect_double(1.0 / 3, "0.3333333333333333");
	expect_double(0.1 + 0.2, "0.30000000000000004");
	expect_double(9999.999999999998, "9999.999999999998");
	expect_double(1e22, "1.0E22");
	expect_double(1234567, "1234567.0");
	expect_double(12345678, "1.2345678E7");
	expect_double(DBL_MIN, "2.2250738585072014E-308");
	expect_double(-2.5, "-2.5");
}

/* Pseudo-random weights over the whole range: each reads back as the same number. */
Test(nacos_encode, weights_survive_the_round_trip)
{
	uint64_t x = 88172645463325252u;
	char buf[64];

	for (int i = 0; i < 20000; i++) {
		struct encode e;
		double value;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		value = (double)(x >> 11) / (double)(UINT64_C(1) << 53) * 10000;
		encode_init(&e, ENCODE_QUERY, buf, sizeof(buf));
		encode_double(&e, value);
		cr_assert(encode_end(&e) > 0);
		cr_assert(strchr(buf, '.'));
		cr_assert(strtod(buf, NULL) >= value && strtod(buf, NULL) <= value, "%s", buf);
	}
}

/* Makes a locale that writes 1,5 and enters it. False where localedef does not work. */
static bool enter_comma_locale(void)
{
	static const char make[] =
		"cd %s && printf 'LC_NUMERIC\\ndecimal_point \",\"\\nthousands_sep \"\"\\ngrouping -1\\n"
		"END LC_NUMERIC\\n' >comma.src && localedef -c -i comma.src -f ANSI_X3.4-1968 ./comma 2>comma.log";
	char dir[] = "/tmp/onebeat-locale-XXXXXX";
	char command[512];
	bool entered;

	cr_assert(mkdtemp(dir));
	snprintf(command, sizeof(command), make, dir);
	setenv("LOCPATH", dir, 1);
	entered = system(command) >= 0 && setlocale(LC_NUMERIC, "comma") &&
		  strcmp(localeconv()->decimal_point, ",") == 0;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
	return entered;
}

/* A host program's locale must not reach the wire. */
Test(nacos_encode, weights_ignore_the_locale)
{
	struct encode e;
	char buf[64];

	if (!enter_comma_locale())
		cr_skip_test("localedef made no locale with a decimal comma");
	encode_init(&e, ENCODE_QUERY, buf, sizeof(buf));
	encode_double(&e, 1.5);
	encode_text(&e, "|");
	encode_double(&e, 12.3456789);
	encode_end(&e);
	cr_expect_str_eq(buf, "1.5%7C12.3456789");
}
