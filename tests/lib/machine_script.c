/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/machine_script.h"

#include <criterion/criterion.h>

#include "base/clock.h"

#define N_SEEDS 200u

bool machine_script_same(const struct machine *a, const struct machine *b)
{
	return a->want_version == b->want_version && a->posted == b->posted &&
	       a->acked == b->acked && a->rejected == b->rejected &&
	       a->lost_version == b->lost_version && a->period_ms == b->period_ms &&
	       a->interval_ms == b->interval_ms && a->serial == b->serial &&
	       a->inflight_version == b->inflight_version && a->n_failures == b->n_failures &&
	       a->seed == b->seed && a->state == b->state && a->inflight == b->inflight &&
	       a->kind == b->kind && a->again == b->again && a->out_of_phase == b->out_of_phase &&
	       a->forget == b->forget && a->hold_ms == b->hold_ms &&
	       a->registered == b->registered && a->probe == b->probe &&
	       a->lost_post == b->lost_post && a->n_deletes == b->n_deletes &&
	       a->due_ms == b->due_ms && a->write_due_ms == b->write_due_ms &&
	       a->beat_due_ms == b->beat_due_ms && a->lost_ms == b->lost_ms &&
	       a->refused_ms == b->refused_ms && a->leave_by_ms == b->leave_by_ms;
}

struct world {
	struct machine m;
	uint64_t now_ms;
	uint64_t past_due_ms; /* for ADOPT */
	uint32_t serial;
	uint32_t remembered;
	uint32_t seed;
	unsigned int n_step;
};

static void check_due(struct world *w, const struct machine_script_step *s)
{
	uint64_t due_ms = machine_due_ms(&w->m);
	uint64_t wait_ms = due_ms > w->now_ms ? due_ms - w->now_ms : 0;

	if (s->a == UINT32_MAX) {
		cr_assert_eq(due_ms, CLOCK_NEVER, "step %u seed %u: due in %lu ms, not never",
			     w->n_step, w->seed, wait_ms);
		return;
	}
	cr_assert(wait_ms >= s->a && wait_ms <= s->b, "step %u seed %u: due in %lu ms, not %u..%u",
		  w->n_step, w->seed, wait_ms, s->a, s->b);
}

static void check_take(struct world *w, const struct machine_script_step *s)
{
	uint64_t due_ms = machine_due_ms(&w->m);
	enum machine_request request;
	uint32_t serial = 0;

	if (s->op == SCRIPT_TAKE_WHEN_DUE) {
		cr_assert_neq(due_ms, CLOCK_NEVER, "step %u: nothing is ever due", w->n_step);
		if (due_ms > w->now_ms) {
			cr_assert_eq(machine_take(&w->m, due_ms - 1, &serial), MACHINE_NONE,
				     "step %u: taken before it was due", w->n_step);
			w->now_ms = due_ms;
		}
	}
	request = machine_take(&w->m, w->now_ms, &serial);
	cr_assert_eq(request, s->a, "step %u seed %u: request %d, not %u", w->n_step, w->seed,
		     request, s->a);
	if (request != MACHINE_NONE)
		w->serial = serial;
}

static void check_stale(struct world *w, const struct machine_script_step *s)
{
	struct machine before = w->m;

	machine_reply(&w->m, w->remembered, s->a, 7000, w->now_ms);
	cr_assert(machine_script_same(&before, &w->m), "step %u: a stale reply changed something",
		  w->n_step);
}

static void act(struct world *w, const struct machine_script_step *s)
{
	struct machine_past past = { .posted = s->a,
				     .acked = s->b,
				     .delete_attempted = s->c != 0,
				     .beat_due_ms = w->past_due_ms };

	switch (s->op) {
	case SCRIPT_WANT:
	case SCRIPT_WANT_PERSISTENT:
		machine_want(&w->m, s->a, s->b, s->c, w->now_ms);
		break;
	case SCRIPT_LEAVE:
		machine_leave(&w->m, w->now_ms);
		break;
	case SCRIPT_FORGET:
		machine_forget(&w->m);
		break;
	case SCRIPT_HOLD:
		machine_hold(&w->m, w->now_ms + s->a);
		break;
	case SCRIPT_PAST_DUE:
		w->past_due_ms = (uint64_t)s->a + s->b;
		break;
	case SCRIPT_ADOPT:
	case SCRIPT_ADOPT_PERSISTENT:
		machine_adopt(&w->m, &past, s->d, SCRIPT_PERIOD_MS,
			      s->op == SCRIPT_ADOPT ? MACHINE_LIGHT : MACHINE_PERSISTENT,
			      SCRIPT_SPREAD_MS, w->now_ms);
		break;
	case SCRIPT_REPLY:
		machine_reply(&w->m, w->serial, s->a, s->b, w->now_ms);
		break;
	case SCRIPT_REMEMBER:
		w->remembered = w->serial;
		break;
	case SCRIPT_AFTER:
		w->now_ms += s->a;
		break;
	default:
		cr_assert_fail("step %u: no such op", w->n_step);
	}
}

static void play_step(struct world *w, const struct machine_script_step *s)
{
	switch (s->op) {
	case SCRIPT_TAKE:
	case SCRIPT_TAKE_WHEN_DUE:
		check_take(w, s);
		break;
	case SCRIPT_REPLY_STALE:
		check_stale(w, s);
		break;
	case SCRIPT_STATE:
		cr_assert_eq(machine_state(&w->m), s->a, "step %u seed %u: state %d, not %u",
			     w->n_step, w->seed, machine_state(&w->m), s->a);
		break;
	case SCRIPT_DUE:
		check_due(w, s);
		break;
	case SCRIPT_PACE:
		cr_assert_eq(machine_pace(&w->m, w->now_ms), s->a, "step %u seed %u: pace %d",
			     w->n_step, w->seed, machine_pace(&w->m, w->now_ms));
		break;
	case SCRIPT_ACKED:
		cr_assert_eq(w->m.acked, s->a, "step %u: acked %u", w->n_step, w->m.acked);
		break;
	case SCRIPT_REJECTED:
		cr_assert_eq(w->m.rejected, s->a, "step %u: rejected %u", w->n_step, w->m.rejected);
		break;
	default:
		act(w, s);
	}
}

void machine_script_play(const struct machine_script_step *steps)
{
	for (uint32_t seed = 0; seed < N_SEEDS; seed++) {
		struct world w = { .now_ms = SCRIPT_START_MS,
				   .past_due_ms = CLOCK_NEVER,
				   .seed = seed };

		machine_init(&w.m, seed);
		for (const struct machine_script_step *s = steps; s->op != SCRIPT_END; s++) {
			w.n_step = (unsigned int)(s - steps);
			play_step(&w, s);
		}
	}
}
