/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle's turn
 *
 * There is no thread: the library moves when it is called. Whatever the call was for, it records its wish and
 * pumps; one round takes in what the agent sent and brings every instance as far as it gets. So an answer that
 * comes late is used by whichever call comes next.
 *
 * A call that has to wait sleeps without the lock, so that others go on, and looks at the state anew afterwards.
 */
#include "pump.h"

#include <poll.h>

#include "attach.h"
#include "clock.h"
#include "grant.h"
#include "messages.h"

#define LOOK_MS 1000u /* an update looks at the socket at least so often */
#define SLICE_MS 1000u
#define SLICE_AHEAD_MS 20u

static void serve_all(struct onebeat *ob)
{
	for (uint32_t i = 0; i < ob->n_instances && handle_link(ob) != LINK_DETACHED; i++)
		onebeat__grant_serve(ob, &ob->instances[i]);
}

static void turn(struct onebeat *ob)
{
	if (handle_link(ob) == LINK_DETACHED)
		(void)onebeat__attach(ob, 0);
	if (handle_link(ob) != LINK_DETACHED)
		onebeat__messages_take(ob);
	serve_all(ob);
}

void onebeat__pump(struct onebeat *ob)
{
	ob->look_due_ms = clock_coarse_ms() + LOOK_MS;
	turn(ob);
	/* It may just have seen that the agent was replaced. */
	if (handle_link(ob) == LINK_DETACHED)
		turn(ob);
}

void onebeat__pump_sleep(struct onebeat *ob, uint32_t time_ms)
{
	const struct lease_fd lease = ob->lease;

	pthread_mutex_unlock(&ob->lock);
	if (lease.fd >= 0)
		(void)onebeat__lease_fd_wait(&lease, (int)time_ms);
	else
		(void)poll(NULL, 0, (int)time_ms);
	pthread_mutex_lock(&ob->lock);
}

void onebeat__pump_until(struct onebeat *ob, uint64_t deadline_ms, pump_done done,
			 const struct onebeat_instance *inst)
{
	for (;;) {
		uint64_t now_ms, left_ms;
		uint32_t slice_ms;

		onebeat__pump(ob);
		now_ms = clock_now_ms();
		if (done(ob, inst) || handle_link(ob) == LINK_DETACHED || now_ms >= deadline_ms)
			return;
		left_ms = deadline_ms - now_ms;
		slice_ms = ob->ahead_due_ms ? SLICE_AHEAD_MS : SLICE_MS;
		onebeat__pump_sleep(ob, left_ms < slice_ms ? (uint32_t)left_ms : slice_ms);
	}
}
