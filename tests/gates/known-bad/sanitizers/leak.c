/* SPDX-License-Identifier: Apache-2.0 */
/* A program that loses a block: for the stories that nobody's exit status would fail. */
#include <stdlib.h>

int main(void)
{
	void *volatile p = malloc(8);

	p = NULL;
	return p ? 1 : 0;
}
