/* SPDX-License-Identifier: Apache-2.0 */
/* expect: arrayIndexOutOfBounds */
int past_the_end(void)
{
	int numbers[4] = { 0 };

	return numbers[4];
}
