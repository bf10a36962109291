/* SPDX-License-Identifier: Apache-2.0 */
/* expect: 'keeper.act.done': a name here begins with 'agent.' */
#include <onebeat/crashpoint.h>

void act(int which)
{
	(void)which;
	ONEBEAT_CRASH_POINT("keeper.act.done");
}
