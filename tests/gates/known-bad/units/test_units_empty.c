/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_units_empty: ran no test */
#include <criterion/criterion.h>

TestSuite(bad);
