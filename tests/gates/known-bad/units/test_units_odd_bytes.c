/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_units_odd_bytes: bad/message */
#include <criterion/criterion.h>

Test(bad, message)
{
	cr_assert(false, "a control byte \x01 and half a letter \xc3 are no XML");
}
