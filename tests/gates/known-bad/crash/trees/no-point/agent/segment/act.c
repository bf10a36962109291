/* SPDX-License-Identifier: Apache-2.0 */
/* expect: no crash point was found at all */
#include <onebeat/crashpoint.h>

void act(int which)
{
	(void)which;
}
