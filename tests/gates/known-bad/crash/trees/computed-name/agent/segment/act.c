/* SPDX-License-Identifier: Apache-2.0 */
/* expect: a computed name, not one to be read here: names\[which\] */
#include <onebeat/crashpoint.h>

void act(int which)
{
	static const char *const names[] = { "agent.act.done", "agent.act.told" };

	ONEBEAT_CRASH_POINT(names[which]);
}
