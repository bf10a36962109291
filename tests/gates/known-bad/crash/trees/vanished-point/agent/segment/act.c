/* SPDX-License-Identifier: Apache-2.0 */
/* expect: table:2: 'agent.act.told' is a crash point no more */
#include <onebeat/crashpoint.h>

void act(int which)
{
	(void)which;
	ONEBEAT_CRASH_POINT("agent.act.done");
}
