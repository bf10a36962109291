/* SPDX-License-Identifier: Apache-2.0 */
/* expect: 'agent.act.done' has been passed elsewhere */
#include <onebeat/crashpoint.h>

void act(int which)
{
	if (which)
		ONEBEAT_CRASH_POINT("agent.act.done");
	ONEBEAT_CRASH_POINT("agent.act.done");
}
