/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that wait for the agent
 *
 * The agent's sends block; so the keeper's must not, or a burst of leases could leave each of the
 * two waiting for the other to read. Answers that find no room wait here while the keeper goes on
 * reading. The room is bounded: an agent with this many leases unanswered has stopped reading, and
 * then the keeper stops too.
 */
#include "keeper/answers.h"

#include <assert.h>

void answers_push(struct answers *a, const struct channel_msg *msg)
{
	assert(!answers_full(a));
	a->waiting[(a->first + a->n_waiting) % ANSWERS_MAX] = *msg;
	a->n_waiting++;
}

int answers_send(struct answers *a, int sock)
{
	while (a->n_waiting > 0) {
		int r = channel_send(sock, &a->waiting[a->first], -1);

		if (r < 0)
			return r;
		a->first = (a->first + 1) % ANSWERS_MAX;
		a->n_waiting--;
	}
	return 0;
}
