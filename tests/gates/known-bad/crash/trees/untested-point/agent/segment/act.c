/* SPDX-License-Identifier: Apache-2.0 */
/* expect: act.c:8: 'agent.act.done' has no test */
#include <onebeat/crashpoint.h>

void act(int which)
{
	(void)which;
	ONEBEAT_CRASH_POINT("agent.act.done");
	ONEBEAT_CRASH_POINT("agent.act.told");
}
