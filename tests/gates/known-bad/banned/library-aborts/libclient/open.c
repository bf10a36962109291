/* SPDX-License-Identifier: Apache-2.0 */
/* expect: open\.c:7: banned call: abort */
#include <stdlib.h>

void onebeat__die(void)
{
	abort();
}
