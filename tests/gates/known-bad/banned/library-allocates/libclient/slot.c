/* SPDX-License-Identifier: Apache-2.0 */
/* expect: slot\.c:7: banned call: malloc */
#include <stdlib.h>

void *onebeat__slot(void)
{
	return malloc(8);
}
