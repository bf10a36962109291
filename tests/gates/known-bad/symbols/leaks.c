/* SPDX-License-Identifier: Apache-2.0 */
/* expect: exports helper, which */
int helper(void);

int helper(void)
{
	return 1;
}
