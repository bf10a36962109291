/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing the API
 *
 * v1 comes first, because it is the one that servers forward inside a cluster (nacos-http 1.11, 5.4).
 * Where it is gone the servers say so, with a 404, a 410 or a 501; then v3 is spoken, and v1 again
 * when v3 is answered like that: the server was replaced by an older one. Whoever was answered so
 * asks again at once, so a move costs an instance one more request and no time.
 *
 * Something else can answer 404 as well: a gateway whose servers are away, a wrong context path. Then
 * neither API helps, and all instances together would move to and fro as fast as replies come. So a
 * move is kept for a second, and those that follow soon for longer; in between, "no such API" is
 * trouble like any other, and each instance retries at its own pace. The longest stay is 5 s, well
 * below the 15 s after which an instance that is not beaten is shown unhealthy: whichever API the
 * servers speak when they are back, it is asked for in time.
 *
 * While a cluster is upgraded, some of its members speak only the one and some only the other. The
 * stay then keeps the registry from moving with every reply, and retries find a member that answers.
 *
 * Pure: the time is passed in.
 */
#include "nacos/choice.h"

#define STAY_FIRST_MS 1000u
#define STAY_LAST_MS 5000u
#define CALM_MS 60000u /* a move after so long without one is a server's replacement */

void nacos_choice_init(struct nacos_choice *choice, enum nacos_version first, bool fixed)
{
	*choice = (struct nacos_choice){ .version = first, .fixed = fixed };
}

static void move(struct nacos_choice *choice, uint64_t now_ms)
{
	bool soon = choice->moved_ms != 0 && now_ms - choice->moved_ms < CALM_MS;

	choice->version = choice->version == NACOS_V1 ? NACOS_V3 : NACOS_V1;
	choice->hold_ms = soon ? choice->hold_ms * 2 : STAY_FIRST_MS;
	if (choice->hold_ms > STAY_LAST_MS)
		choice->hold_ms = STAY_LAST_MS;
	choice->moved_ms = now_ms;
	choice->next_move_ms = now_ms + choice->hold_ms;
}

enum nacos_advice nacos_choice_no_api(struct nacos_choice *choice, enum nacos_version asked,
				      uint64_t now_ms)
{
	if (choice->fixed)
		return NACOS_WAIT;
	if (asked != choice->version)
		return NACOS_ASK_AGAIN;
	if (now_ms < choice->next_move_ms)
		return NACOS_WAIT;
	move(choice, now_ms);
	return NACOS_MOVED;
}
