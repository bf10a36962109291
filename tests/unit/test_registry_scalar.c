/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <limits.h>
#include <math.h>

#include "scalar.h"

Test(registry_scalar, ints_are_32_bits_of_digits)
{
	static const char *const bad[] = {
		"",     "x", "1 ",  " 1",         "1.0",
		"0x10", "-", "+-1", "2147483648", "99999999999999999999",
	};
	int value = 7;

	cr_assert(scalar_int("-2147483648", &value) && value == INT_MIN);
	cr_assert(scalar_int("+65536", &value) && value == 65536);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(scalar_int(bad[i], &value), "\"%s\"", bad[i]);
	cr_assert_eq(value, 65536, "a refused text leaves the value alone");
}

Test(registry_scalar, doubles_are_what_java_takes)
{
	static const char *const bad[] = {
		"", "x", "nan", "inf", "infinity", "0x1p3", "1,5", "1 ", "1ff", "d", "Infinity1",
	};
	double value;

	cr_assert(scalar_double("1e-2", &value) && value == 0.01);
	cr_assert(scalar_double("2.5f", &value) && value == 2.5);
	cr_assert(scalar_double("-Infinity", &value) && isinf(value) && value < 0);
	cr_assert(scalar_double("NaN", &value) && isnan(value));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(scalar_double(bad[i], &value), "\"%s\"", bad[i]);
}

Test(registry_scalar, booleans_are_words)
{
	static const char *const yes[] = { "true", "TRUE", "on", "Yes", "y", "t" };
	static const char *const no[] = { "false", "1", "maybe", "", "tr", "yes " };

	for (size_t i = 0; i < 6; i++) {
		cr_assert(scalar_bool(yes[i]), "\"%s\"", yes[i]);
		cr_assert_not(scalar_bool(no[i]), "\"%s\"", no[i]);
	}
}
