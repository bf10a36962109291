/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_units_crashes: bad/null */
#include <criterion/criterion.h>

Test(bad, null)
{
	*(volatile int *)NULL = 1;
}
