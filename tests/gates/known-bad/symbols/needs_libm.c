/* SPDX-License-Identifier: Apache-2.0 */
/* expect: needs libm\.so\.6, more than libc */
#include <math.h>

double root(double x);

double root(double x)
{
	return sqrt(x) + lgamma(x);
}
