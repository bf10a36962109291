/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registry's answers change
 *
 * The other half of machine.c. A registry has three ways not to do what it is asked, and each gets
 * its own patience. Trouble (5xx, no answer) says nothing of the instance: asked again for ever,
 * beats within seconds, because an instance that is not beaten for 15 s is shown unhealthy, and
 * writes with back-off. "Unknown" to a beat means that the registry lost the instance: POST at
 * once. A refused POST is the instance's own fault, unless that very version was accepted before:
 * members of a cluster that disagree answer 400 for a while, so there it is trouble at first.
 *
 * A lost request may be carried out later. For a light beat and a DELETE that mends itself: the next
 * beat is answered "unknown", and a POST follows. A late POST would bring back what was deleted, or
 * overwrite a newer version for good, and a late full beat can do the same. So the write that was
 * answered after it (a DELETE, or the POST of another version) is sent once more when the late one
 * should have landed.
 *
 * After an outage every instance is beaten within a second or two of the registry's return. The beat
 * after that is drawn anew from half a period, so that they do not go on in step.
 */
#include "beat/answer.h"

#include "base/clock.h"
#include "beat/jitter.h"

#define BEAT_RETRY_MS 1000u /* to twice that, no back-off: 15 s without a beat is all there is */
#define SLOW_MS 60000u      /* for what seconds will not change */
#define EAGER_DELETES \
	10u /* beyond 35 s: only of a persistent instance, which nothing else removes */
#define PATIENCE_MS 30000u  /* while members disagree they answer 400 to what is right */
#define LOST_POST_MS 60000u /* a POST lost longer ago has landed, or never will */
#define REPEAT_MS 10000u

static bool lost_post_may_land(const struct machine *m, uint64_t now_ms)
{
	return m->lost_post && now_ms - m->lost_ms < LOST_POST_MS;
}

/* The acknowledged version may be overwritten by a lost POST of an older one. */
static bool overwrite_looms(const struct machine *m, uint64_t now_ms)
{
	return lost_post_may_land(m, now_ms) && m->lost_version != m->acked;
}

static void beat_done(struct machine *m, uint32_t wish_ms, uint64_t now_ms)
{
	uint32_t interval_ms;

	m->interval_ms = wish_ms;
	interval_ms = machine_interval_ms(m);
	if (!m->out_of_phase)
		m->beat_due_ms += interval_ms; /* from when it was due: no drift */
	else
		m->beat_due_ms = now_ms + interval_ms - jitter_upto(&m->seed, interval_ms / 2);
	m->out_of_phase = false;
	m->n_failures = 0;
	if (!m->probe)
		return;
	m->probe = false;
	m->registered = true;
	m->acked = m->posted;
	if (m->acked == m->want_version)
		machine_become_up(m, now_ms);
}

static void note_lost_write(struct machine *m, uint64_t now_ms)
{
	if (!lost_post_may_land(m, now_ms))
		m->lost_version = m->inflight_version;
	m->lost_post = true;
	m->lost_ms = now_ms;
}

void answer_beat(struct machine *m, enum machine_request request, enum machine_outcome outcome,
		 uint32_t interval_ms, uint64_t now_ms)
{
	if (request == MACHINE_FULL_BEAT && outcome == MACHINE_LOST)
		note_lost_write(m, now_ms);
	if (outcome == MACHINE_UNKNOWN)
		m->registered = false;
	if (m->state == MACHINE_LEAVING)
		return;
	if (outcome == MACHINE_OK) {
		beat_done(m, interval_ms, now_ms);
	} else if (outcome == MACHINE_UNKNOWN) {
		m->n_failures = 0;
		m->probe = false;
		m->beat_due_ms = CLOCK_NEVER;
		m->again = true;
		machine_become_registering(m, now_ms);
	} else { /* the state of the world is unknown, so ours stays */
		m->n_failures++;
		m->out_of_phase = true;
		m->beat_due_ms = now_ms + BEAT_RETRY_MS + jitter_upto(&m->seed, BEAT_RETRY_MS);
	}
}

static void post_done(struct machine *m, uint64_t now_ms)
{
	bool repeat = m->state == MACHINE_UP;
	uint32_t interval_ms = machine_interval_ms(m);

	m->n_failures = 0;
	m->out_of_phase = false;
	m->again = false;
	m->registered = true;
	m->acked = m->inflight_version;
	m->refused_ms = CLOCK_NEVER;
	if (m->rejected == m->acked)
		m->rejected = 0;
	m->beat_due_ms = CLOCK_NEVER;
	if (machine_ephemeral(m) &&
	    m->want_version != 0) /* spreads the phases, and is never late */
		m->beat_due_ms = now_ms + interval_ms - jitter_upto(&m->seed, interval_ms / 10);
	if (m->acked != m->want_version) {
		m->write_due_ms = now_ms;
		return;
	}
	machine_become_up(m, now_ms);
	if (repeat)
		m->lost_version = m->acked;
	else if (overwrite_looms(m, now_ms))
		m->write_due_ms = now_ms + REPEAT_MS;
}

static void retry_post(struct machine *m, uint64_t now_ms)
{
	if (m->state == MACHINE_REJECTED)
		m->write_due_ms = now_ms + SLOW_MS + jitter_upto(&m->seed, SLOW_MS / 10);
	else
		m->write_due_ms = now_ms + jitter_backoff_ms(&m->seed, m->n_failures);
}

static void post_refused(struct machine *m, uint64_t now_ms)
{
	bool was_good = m->inflight_version == m->acked;

	if (was_good && m->refused_ms == CLOCK_NEVER)
		m->refused_ms = now_ms;
	if (!was_good || now_ms - m->refused_ms >= PATIENCE_MS) {
		m->rejected = m->inflight_version;
		if (m->rejected == m->want_version)
			m->state = MACHINE_REJECTED;
	}
	if (m->inflight_version == m->want_version)
		retry_post(m, now_ms);
	else
		m->write_due_ms = now_ms;
}

void machine_lost_copy(struct machine *m, uint32_t serial, uint64_t now_ms)
{
	bool creates = m->inflight == MACHINE_POST || m->inflight == MACHINE_FULL_BEAT;

	if (creates && serial == m->serial)
		note_lost_write(m, now_ms);
}

void answer_post(struct machine *m, enum machine_outcome outcome, uint64_t now_ms)
{
	if (outcome == MACHINE_OK) {
		post_done(m, now_ms);
		return;
	}
	m->n_failures++;
	if (outcome == MACHINE_LOST)
		note_lost_write(m, now_ms);
	if (m->state == MACHINE_LEAVING)
		m->write_due_ms = now_ms;
	else if (outcome == MACHINE_REFUSED)
		post_refused(m, now_ms);
	else
		retry_post(m, now_ms);
}

void answer_delete(struct machine *m, enum machine_outcome outcome, uint64_t now_ms)
{
	bool done = outcome == MACHINE_OK || outcome == MACHINE_UNKNOWN;

	if (m->want_version != 0) { /* wanted again meanwhile */
		m->write_due_ms = now_ms;
	} else if (done && m->n_deletes == 0 && lost_post_may_land(m, now_ms)) {
		m->n_deletes++;
		m->n_failures = 0;
		m->write_due_ms = now_ms + REPEAT_MS;
	} else if (done || now_ms >= m->leave_by_ms) {
		machine_become_gone(m);
	} else {
		m->n_failures++;
		m->write_due_ms = now_ms + jitter_backoff_ms(&m->seed, m->n_failures);
		if (m->n_failures > EAGER_DELETES)
			m->write_due_ms = now_ms + SLOW_MS - jitter_upto(&m->seed, SLOW_MS / 10);
		if (m->write_due_ms > m->leave_by_ms) /* the last try */
			m->write_due_ms = m->leave_by_ms;
	}
}

/* Nothing was learned of the instance: what was to be sent still is, and was due when it was. */
void answer_again(struct machine *m, enum machine_request request, uint64_t now_ms)
{
	if (request == MACHINE_POST || request == MACHINE_DELETE)
		m->write_due_ms = now_ms;
	m->hold_ms = now_ms; /* its turn was this */
}
