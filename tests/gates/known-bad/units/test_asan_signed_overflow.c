/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_asan_signed_overflow: bad/signed_overflow */
#include <criterion/criterion.h>
#include <limits.h>

Test(bad, signed_overflow)
{
	volatile int n = INT_MAX;

	n++;
	cr_assert(n != 0);
}
