/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_units_dies_early: ran no test */
#include <criterion/criterion.h>
#include <stdlib.h>

__attribute__((constructor)) static void dies_early(void)
{
	abort();
}

Test(bad, never_reached)
{
	cr_assert(true);
}
