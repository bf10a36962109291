/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_asan_overflow: reported by a checker */
#include <criterion/criterion.h>
#include <stdlib.h>

Test(bad, overflow)
{
	volatile size_t n = 8;
	volatile char *p = malloc(n);

	p[n] = 1;
	free((void *)p);
}
