/* SPDX-License-Identifier: Apache-2.0 */
/* expect: exports onebeat__secret, which */
int onebeat__secret(void);

int onebeat__secret(void)
{
	return 1;
}
