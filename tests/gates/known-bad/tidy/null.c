/* SPDX-License-Identifier: Apache-2.0 */
/* expect: clang-analyzer-core.NullDereference */
int reads_nothing(const int *p)
{
	if (p)
		return 0;
	return *p;
}
