/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_asan_leak: reported by a checker */
#include <criterion/criterion.h>
#include <stdlib.h>

Test(bad, leak)
{
	void *volatile p = malloc(8);

	cr_assert(p);
	p = NULL;
}
