/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_tsan_fails: bad/arithmetic */
#include <criterion/criterion.h>

Test(bad, arithmetic)
{
	cr_assert_eq(1 + 1, 3);
}
