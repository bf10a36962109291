/* SPDX-License-Identifier: Apache-2.0 */
/* expect: 'agent.put.done.lease' has no test */
#include <onebeat/crashpoint.h>

void act(int which)
{
	(void)which;
	ONEBEAT_CRASH_TABLE("agent.put", "slot");
	ONEBEAT_CRASH_TABLE("agent.put", "lease");
	ONEBEAT_CRASH_POINT_IN_TABLE("agent.put.done");
}
