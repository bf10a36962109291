/* SPDX-License-Identifier: Apache-2.0 */
/* expect: nullPointer */
int looks_first(const int *p)
{
	int n = *p;

	if (!p)
		return 0;
	return n;
}
