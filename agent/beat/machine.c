/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance towards one registry
 *
 * Decides what is sent for an instance, and when: POST to register or update it, light beats to
 * keep it, DELETE last. It reads no clock and touches no socket: the time and what became of a
 * request are passed in, so that a test can replay any race. The sender owns it and calls it from
 * one thread.
 *
 * Two deadlines drive it. write_due_ms is the next write, a POST while a version is wanted and a
 * DELETE when none is; beat_due_ms is the next beat. The write goes first, and due_ms, the earlier
 * of the two, is all that the timing wheel sees. Nothing is due while a request is unanswered. So
 * an instance never has two requests on the wire, whose order the registry could turn round: a beat
 * that overtakes its POST is answered "unknown" by 1.4, and a POST behind a DELETE would bring a
 * dead instance back. A DELETE alone overtakes, and only a light beat, which cannot create
 * anything; the serial makes that beat's reply stale. A full beat can, and is waited for.
 *
 * Full beats are for parity with clients that send them: where a light one would be answered
 * "unknown", they create the instance anew, from all that they say. Whether it is enabled they do
 * not say, so an instance that is not must be beaten light: it would come back enabled.
 *
 * A persistent instance is posted and never beaten. Nothing tells when the registry loses one, so it
 * is posted again from time to time, seldom. It outlives its process unless told otherwise
 * (machine_forget()), and no time-out finishes a DELETE that failed: that is tried for an hour.
 *
 * What happens to all instances at once must not become all requests at once: a registry that
 * restarted empty, a machine that slept. The machine tells when that may be so (machine_pace()), and
 * who has all of them in view gives each its turn. Beats that were slept through are one beat, which
 * keeps its place in the period, or all instances would beat in one moment ever after.
 *
 * Beats go on wherever the registry is believed to know the instance, also while an update is
 * refused or fails: the last good definition stays in force. A POST restarts the server's clock and
 * so ours.
 *
 * Here are the wishes of the host's side and what they make due; answer.c has what the registry's
 * answers change. A DELETE goes out for every instance whose POST was attempted, acknowledged or
 * not.
 */
#include "beat/machine.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "beat/answer.h"
#include "beat/jitter.h"

#define INTERVAL_MIN_MS 500u /* a registry's wish outside of these is a mistake: own period */
#define INTERVAL_MAX_MS 120000u
#define LEAVE_MS 35000u /* the server expires it after 30 s anyway */
#define LEAVE_PERSISTENT_MS 3600000u
#define RECONCILE_MS 600000u
#define TURN_MS 1000u /* a turn not used for so long is void: the machine slept */

uint32_t machine_interval_ms(const struct machine *m)
{
	if (m->interval_ms >= INTERVAL_MIN_MS && m->interval_ms <= INTERVAL_MAX_MS)
		return m->interval_ms;
	return m->period_ms;
}

void machine_become_registering(struct machine *m, uint64_t post_due_ms)
{
	m->state = MACHINE_REGISTERING;
	m->write_due_ms = post_due_ms;
}

void machine_become_up(struct machine *m, uint64_t now_ms)
{
	m->state = MACHINE_UP;
	m->again = !machine_ephemeral(m);
	m->write_due_ms = CLOCK_NEVER;
	if (!machine_ephemeral(m))
		m->write_due_ms = now_ms + RECONCILE_MS - jitter_upto(&m->seed, RECONCILE_MS / 10);
}

/* As good as new: nothing of it is at the registry, or the server's time-out sees to that. */
void machine_become_gone(struct machine *m)
{
	m->state = MACHINE_GONE;
	m->posted = 0;
	m->acked = 0;
	m->rejected = 0;
	m->registered = false;
	m->lost_post = false;
	m->again = false;
	m->forget = false;
	m->write_due_ms = CLOCK_NEVER;
}

/* Ends every change: when has machine_take() something to do next? */
static void settle(struct machine *m)
{
	bool overtakes = m->state == MACHINE_LEAVING && m->inflight == MACHINE_BEAT;

	if (m->inflight != MACHINE_NONE && !overtakes)
		m->due_ms = CLOCK_NEVER;
	else
		m->due_ms = m->write_due_ms < m->beat_due_ms ? m->write_due_ms : m->beat_due_ms;
	if (m->due_ms < m->hold_ms)
		m->due_ms = m->hold_ms;
}

void machine_init(struct machine *m, uint32_t seed)
{
	memset(m, 0, sizeof(*m));
	m->seed = jitter_seed(seed);
	m->due_ms = CLOCK_NEVER;
	m->write_due_ms = CLOCK_NEVER;
	m->beat_due_ms = CLOCK_NEVER;
	m->refused_ms = CLOCK_NEVER;
}

void machine_want(struct machine *m, uint32_t version, uint32_t period_ms, enum machine_kind kind,
		  uint64_t now_ms)
{
	/* An attempted DELETE has cleared registered: until then nobody has seen the leave. */
	bool cancels = m->state == MACHINE_LEAVING && m->registered;

	assert(version > 0 && period_ms > 0);
	if (version <= m->want_version)
		return;
	if (version != m->acked) { /* what was learned of the old definition is void */
		m->interval_ms = 0;
		m->refused_ms = CLOCK_NEVER;
	}
	m->want_version = version;
	m->period_ms = period_ms;
	m->kind = (uint8_t)kind;
	m->forget = false;
	if (m->registered) /* a wish, and not all instances at once */
		m->again = false;
	if (!m->again)
		m->hold_ms = 0;
	if (cancels && machine_ephemeral(m))
		m->beat_due_ms = now_ms;
	if (cancels && m->acked == version && m->posted == version && !m->lost_post)
		machine_become_up(m, now_ms);
	else
		machine_become_registering(m, now_ms);
	settle(m);
}

void machine_leave(struct machine *m, uint64_t now_ms)
{
	if ((m->state == MACHINE_LEAVING && !m->forget) || m->state == MACHINE_GONE)
		return;
	m->want_version = 0;
	m->forget = false;
	m->again = false;
	m->hold_ms = 0;
	if (m->posted == 0) {
		machine_become_gone(m);
	} else {
		m->state = MACHINE_LEAVING;
		m->n_failures = 0;
		m->n_deletes = 0;
		m->leave_by_ms = now_ms + (machine_ephemeral(m) ? LEAVE_MS : LEAVE_PERSISTENT_MS);
		m->write_due_ms = now_ms;
		m->beat_due_ms = CLOCK_NEVER;
	}
	settle(m);
}

void machine_forget(struct machine *m)
{
	if (m->state == MACHINE_LEAVING || m->state == MACHINE_GONE)
		return;
	m->want_version = 0;
	m->hold_ms = 0;
	m->beat_due_ms = CLOCK_NEVER;
	m->write_due_ms = CLOCK_NEVER;
	m->state = MACHINE_LEAVING;
	m->forget = true;
	if (m->inflight == MACHINE_NONE)
		machine_become_gone(m);
	settle(m);
}

/* Goes on where the predecessor was: a beat that fell due meanwhile is due now, and none is late. */
static uint64_t adopted_due(struct machine *m, uint64_t past_due_ms, uint32_t spread_ms,
			    uint64_t now_ms)
{
	if (past_due_ms != CLOCK_NEVER && past_due_ms <= now_ms + spread_ms)
		return past_due_ms;
	return now_ms + jitter_upto(&m->seed, spread_ms);
}

void machine_adopt(struct machine *m, const struct machine_past *past, uint32_t want_version,
		   uint32_t period_ms, enum machine_kind kind, uint32_t spread_ms, uint64_t now_ms)
{
	assert(m->state == MACHINE_ABSENT);
	m->kind = (uint8_t)kind;
	m->acked = past->acked;
	m->posted = past->posted > past->acked ? past->posted : past->acked;
	m->lost_post = m->posted != m->acked; /* its answer went to an agent that is no more */
	m->lost_version = m->posted;
	m->lost_ms = now_ms;
	if (want_version == 0) {
		machine_leave(m, now_ms);
		return;
	}
	machine_want(m, want_version, period_ms, kind, now_ms);
	if (past->delete_attempted) /* and wanted again: this is the POST behind that DELETE */
		return;
	m->registered = m->acked != 0;
	if (m->registered && machine_ephemeral(m))
		m->beat_due_ms = adopted_due(m, past->beat_due_ms, spread_ms, now_ms);
	if (m->acked == want_version && m->posted == want_version) {
		machine_become_up(m, now_ms);
	} else if (m->acked == 0 && m->posted == want_version && machine_ephemeral(m)) {
		m->probe = true;
		m->write_due_ms = CLOCK_NEVER;
		m->beat_due_ms = now_ms;
	}
	settle(m);
}

static void take_write(struct machine *m)
{
	if (m->probe) { /* needless: this write decides */
		m->probe = false;
		m->beat_due_ms = CLOCK_NEVER;
	}
	m->inflight_version = m->want_version;
	if (m->want_version != 0) {
		m->inflight = MACHINE_POST;
		m->posted = m->want_version;
	} else {
		m->inflight = MACHINE_DELETE;
		m->registered = false;
	}
}

static void take_beat(struct machine *m, uint64_t now_ms)
{
	uint32_t interval_ms = machine_interval_ms(m);

	/* A full beat would not decide whether the registry knows the instance: it would see to it. */
	m->inflight = m->kind == MACHINE_FULL && !m->probe ? MACHINE_FULL_BEAT : MACHINE_BEAT;
	m->inflight_version = m->want_version;
	m->beat_due_ms += (now_ms - m->beat_due_ms) / interval_ms * interval_ms;
}

enum machine_pace machine_pace(const struct machine *m, uint64_t now_ms)
{
	if (now_ms < m->due_ms || m->state == MACHINE_LEAVING)
		return MACHINE_AT_ONCE;
	if (m->hold_ms != 0 && now_ms - m->hold_ms <= TURN_MS)
		return MACHINE_AT_ONCE;
	if (now_ms >= m->write_due_ms)
		return m->again ? MACHINE_PACE_POST : MACHINE_AT_ONCE;
	return now_ms - m->beat_due_ms >= machine_interval_ms(m) ? MACHINE_PACE_BEAT
								 : MACHINE_AT_ONCE;
}

void machine_hold(struct machine *m, uint64_t until_ms)
{
	m->hold_ms = until_ms;
	settle(m);
}

enum machine_request machine_take(struct machine *m, uint64_t now_ms, uint32_t *serial)
{
	if (now_ms < m->due_ms)
		return MACHINE_NONE;
	if (now_ms >= m->write_due_ms)
		take_write(m);
	else
		take_beat(m, now_ms);
	*serial = ++m->serial;
	m->hold_ms = 0;
	settle(m);
	return (enum machine_request)m->inflight;
}

void machine_reply(struct machine *m, uint32_t serial, enum machine_outcome outcome,
		   uint32_t interval_ms, uint64_t now_ms)
{
	enum machine_request request = (enum machine_request)m->inflight;

	if (request == MACHINE_NONE || serial != m->serial)
		return;
	m->inflight = MACHINE_NONE;
	if (m->forget)
		machine_become_gone(m);
	else if (outcome == MACHINE_AGAIN)
		answer_again(m, request, now_ms);
	else if (request == MACHINE_BEAT || request == MACHINE_FULL_BEAT)
		answer_beat(m, request, outcome, interval_ms, now_ms);
	else if (request == MACHINE_POST)
		answer_post(m, outcome, now_ms);
	else
		answer_delete(m, outcome, now_ms);
	settle(m);
}
