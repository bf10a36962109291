/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restart policy
 *
 * The first death is answered at once, because a restarted agent that beats within a second is one
 * that the registry never misses. What goes on dying is started ever more slowly, up to a bound,
 * but for ever: the cause may be outside (memory, a full table), and giving up would deregister the
 * whole host by time-out.
 *
 * A death before the agent is ready, or soon after, is early. Three in a row mean that something in
 * what it adopts kills it; the next one is told to leave out the slot that the journal has marked.
 * Any later death ends the row, and with it the quarantine.
 */
#include "keeper/restart.h"

static uint32_t next_delay(struct restart *r)
{
	uint32_t delay_ms = r->delay_ms;

	r->delay_ms = delay_ms == 0 ? RESTART_DELAY_MIN_MS : delay_ms * 2;
	if (r->delay_ms > RESTART_DELAY_MAX_MS)
		r->delay_ms = RESTART_DELAY_MAX_MS;
	return delay_ms;
}

uint32_t restart_died(struct restart *r, uint64_t started_ms, uint64_t ready_ms, uint64_t now_ms)
{
	if (ready_ms == 0 || now_ms - ready_ms < RESTART_EARLY_MS)
		r->n_early++;
	else
		r->n_early = 0;
	if (now_ms - started_ms >= RESTART_STEADY_MS)
		r->delay_ms = 0;
	return next_delay(r);
}

uint32_t restart_failed(struct restart *r)
{
	if (r->delay_ms == 0)
		r->delay_ms = RESTART_DELAY_MIN_MS; /* trying again at once would fail alike */
	return next_delay(r);
}

bool restart_quarantine(const struct restart *r)
{
	return r->n_early >= RESTART_EARLY_MAX;
}
