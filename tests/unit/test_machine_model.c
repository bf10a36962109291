/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instance state machine against a modelled network and registry
 *
 * A host changes its mind at random; requests are answered, fail, are refused or get lost, and lost
 * ones may land up to 9 s later; the registry forgets everything now and then. What must hold all
 * the time is checked at each request and reply. Then the trouble ends, and the registry must come
 * to hold what the host wants. A run is told by its seed.
 */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "lib/machine_script.h"

#define PERIOD_MS 5000u
#define TROUBLE_MS 300000u
#define CALM_MS 180000u
#define EXPIRY_MS 30000u
#define N_LETTERS 64u

/* A request on its way to the registry, and its answer on the way back. */
struct letter {
	enum machine_request request;
	enum machine_outcome outcome;
	uint32_t version;
	uint32_t serial;
	uint64_t arrive_ms; /* CLOCK_NEVER: has arrived, or never will */
	uint64_t answer_ms; /* CLOCK_NEVER: was answered */
	bool overtaken;
};

struct world {
	struct machine m;
	uint64_t now_ms;
	uint64_t calm_from_ms;
	uint64_t host_ms; /* when the host changes its mind next */
	uint64_t random;
	uint32_t seed;
	enum machine_kind kind;

	uint32_t wish; /* version, 0: absent */
	uint32_t newest_version;
	bool given_up;
	bool forgotten; /* since the last wish */

	uint32_t held; /* version that the registry holds, 0: none */
	uint64_t fresh_ms;
	uint64_t longest_gap_ms; /* between two refreshes, while all was calm */

	struct letter letters[N_LETTERS];
	uint32_t n_requests;
	uint32_t n_wishes;
};

#define CHECK(w, condition) \
	cr_assert(condition, "seed %u, %lu ms: %s", (w)->seed, (w)->now_ms, #condition)

static uint32_t below(struct world *w, uint32_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 32) % n;
}

static bool ephemeral(const struct world *w)
{
	return w->kind != MACHINE_PERSISTENT;
}

static bool calm(const struct world *w)
{
	return w->now_ms >= w->calm_from_ms;
}

/* The registry */

static void refresh(struct world *w)
{
	uint64_t gap_ms = w->now_ms - w->fresh_ms;

	/* The first seconds of the calm still pay for the trouble before. */
	if (w->held && w->fresh_ms > w->calm_from_ms + 80000 && gap_ms > w->longest_gap_ms)
		w->longest_gap_ms = gap_ms;
	w->fresh_ms = w->now_ms;
}

static void expire(struct world *w)
{
	if (ephemeral(w) && w->held && w->now_ms - w->fresh_ms > EXPIRY_MS)
		w->held = 0;
}

static void arrive(struct world *w, struct letter *letter)
{
	letter->arrive_ms = CLOCK_NEVER;
	expire(w);
	switch (letter->request) {
	case MACHINE_POST:
		refresh(w);
		w->held = letter->version;
		break;
	case MACHINE_FULL_BEAT: /* of what is there it says nothing new */
		refresh(w);
		w->held = w->held ? w->held : letter->version;
		break;
	case MACHINE_BEAT:
		if (w->held)
			refresh(w);
		else if (letter->outcome == MACHINE_OK)
			letter->outcome = MACHINE_UNKNOWN;
		break;
	default:
		w->held = 0;
	}
}

/* The network */

static struct letter *unanswered(struct world *w)
{
	for (uint32_t i = 0; i < N_LETTERS; i++)
		if (w->letters[i].answer_ms != CLOCK_NEVER && !w->letters[i].overtaken)
			return &w->letters[i];
	return NULL;
}

static struct letter *blank(struct world *w)
{
	for (uint32_t i = 0; i < N_LETTERS; i++)
		if (w->letters[i].answer_ms == CLOCK_NEVER &&
		    w->letters[i].arrive_ms == CLOCK_NEVER)
			return &w->letters[i];
	cr_assert_fail("seed %u: more letters than can be", w->seed);
	return NULL;
}

static void lose(struct world *w, struct letter *letter)
{
	uint32_t fate = below(w, 3);

	letter->outcome = MACHINE_LOST;
	letter->answer_ms = w->now_ms + 2000 + below(w, 2000);
	if (fate == 0)
		letter->arrive_ms = CLOCK_NEVER;
	/* Nothing would ever mend what a late DELETE does to a persistent instance. */
	if (fate == 1 && (ephemeral(w) || letter->request == MACHINE_POST))
		letter->arrive_ms = letter->answer_ms + below(w, 9000);
}

static void post_letter(struct world *w, struct letter *letter)
{
	uint32_t luck = calm(w) ? 100 : below(w, 100);

	letter->arrive_ms = w->now_ms + below(w, 300);
	letter->answer_ms = letter->arrive_ms + below(w, 300);
	letter->outcome = MACHINE_OK;
	if (luck < 25) {
		lose(w, letter);
	} else if (luck < 45) {
		letter->outcome = luck < 38 ? MACHINE_FAILED : MACHINE_REFUSED;
		if (below(w, 4) != 0 || letter->outcome == MACHINE_REFUSED)
			letter->arrive_ms = CLOCK_NEVER;
	}
}

/* The sender */

static void send(struct world *w)
{
	struct letter *before = unanswered(w);
	struct letter *letter = blank(w);
	uint32_t serial = 0;
	enum machine_request request = machine_take(&w->m, w->now_ms, &serial);

	CHECK(w, request != MACHINE_NONE);
	CHECK(w, machine_due_ms(&w->m) == CLOCK_NEVER);
	if (request == MACHINE_DELETE && before) {
		CHECK(w, before->request == MACHINE_BEAT);
		before->overtaken = true;
		before = NULL;
	}
	CHECK(w, !before);
	CHECK(w, (request == MACHINE_DELETE) == (w->wish == 0));
	CHECK(w, !w->forgotten);
	CHECK(w, request != MACHINE_BEAT || ephemeral(w));
	CHECK(w, request != MACHINE_FULL_BEAT || w->kind == MACHINE_FULL);
	*letter = (struct letter){ .request = request, .serial = serial, .version = w->wish };
	post_letter(w, letter);
	w->n_requests++;
}

static void check_gone(struct world *w, enum machine_outcome outcome)
{
	if (outcome != MACHINE_OK) {
		w->given_up = true;
		return;
	}
	CHECK(w, w->held == 0);
	for (uint32_t i = 0; i < N_LETTERS; i++)
		CHECK(w, (w->letters[i].request != MACHINE_POST &&
			  w->letters[i].request != MACHINE_FULL_BEAT) ||
				 w->letters[i].arrive_ms == CLOCK_NEVER);
}

static void answer(struct world *w, struct letter *letter)
{
	struct machine before = w->m;

	letter->answer_ms = CLOCK_NEVER;
	machine_reply(&w->m, letter->serial, letter->outcome, 0, w->now_ms);
	if (letter->overtaken)
		CHECK(w, machine_script_same(&before, &w->m));
	else if (machine_state(&w->m) == MACHINE_GONE && !w->forgotten)
		check_gone(w, letter->outcome);
	if (machine_state(&w->m) == MACHINE_UP)
		CHECK(w, w->m.acked == w->wish);
	letter->overtaken = false;
}

/* The host */

/* A machine that was forgotten and is gone knows nothing of what it sent. */
static void lose_sight(struct world *w)
{
	for (uint32_t i = 0; i < N_LETTERS; i++)
		w->letters[i].arrive_ms = CLOCK_NEVER;
}

static void change_mind(struct world *w)
{
	w->host_ms = w->now_ms + (below(w, 3) ? below(w, 30000) : below(w, 500));
	if (below(w, 10) == 0 && ephemeral(w))
		w->held = 0; /* restarted, empty */
	if (w->wish && below(w, 2)) {
		w->wish = 0;
		w->forgotten = !ephemeral(w) && below(w, 3) == 0;
		if (w->forgotten)
			machine_forget(&w->m);
		else
			machine_leave(&w->m, w->now_ms);
	} else {
		/* What left comes back now and then just as it was. */
		if (w->wish || w->newest_version == 0 || w->forgotten || below(w, 2))
			w->newest_version++;
		w->wish = w->newest_version;
		if (w->forgotten && machine_state(&w->m) == MACHINE_GONE)
			lose_sight(w);
		w->given_up = w->forgotten = false;
		machine_want(&w->m, w->wish, PERIOD_MS, w->kind, w->now_ms);
	}
	w->n_wishes++;
}

static uint64_t next_event_ms(const struct world *w)
{
	uint64_t next_ms = machine_due_ms(&w->m);

	if (w->host_ms < w->calm_from_ms && w->host_ms < next_ms)
		next_ms = w->host_ms;
	for (uint32_t i = 0; i < N_LETTERS; i++) {
		if (w->letters[i].arrive_ms < next_ms)
			next_ms = w->letters[i].arrive_ms;
		if (w->letters[i].answer_ms < next_ms)
			next_ms = w->letters[i].answer_ms;
	}
	return next_ms;
}

static void turn(struct world *w)
{
	for (uint32_t i = 0; i < N_LETTERS; i++) {
		if (w->letters[i].arrive_ms <= w->now_ms)
			arrive(w, &w->letters[i]);
		if (w->letters[i].answer_ms <= w->now_ms)
			answer(w, &w->letters[i]);
	}
	if (w->host_ms <= w->now_ms && w->host_ms < w->calm_from_ms)
		change_mind(w);
	else if (machine_due_ms(&w->m) <= w->now_ms)
		send(w);
}

static void check_end(struct world *w)
{
	expire(w);
	if (w->wish) {
		CHECK(w, machine_state(&w->m) == MACHINE_UP);
		CHECK(w, w->held == w->wish);
		CHECK(w, w->longest_gap_ms <= PERIOD_MS + 600);
	} else {
		CHECK(w, machine_state(&w->m) == MACHINE_GONE || w->n_wishes == 0);
		CHECK(w, w->held == 0 || w->forgotten);
	}
	/* No storm: the shortest loop is a second, but for what a wish or an "unknown" starts. */
	CHECK(w, w->n_requests < 2 * (TROUBLE_MS + CALM_MS) / 1000 + 4 * w->n_wishes);
}

static void run(uint32_t seed, enum machine_kind kind)
{
	struct world w = { .seed = seed, .kind = kind, .now_ms = 5000000 };
	uint64_t end_ms = w.now_ms + TROUBLE_MS + CALM_MS;

	w.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	w.calm_from_ms = w.now_ms + TROUBLE_MS;
	w.host_ms = w.now_ms;
	for (uint32_t i = 0; i < N_LETTERS; i++)
		w.letters[i].arrive_ms = w.letters[i].answer_ms = CLOCK_NEVER;
	machine_init(&w.m, seed);
	for (;;) {
		uint64_t next_ms = next_event_ms(&w);

		if (next_ms > end_ms)
			break;
		if (next_ms > w.now_ms)
			w.now_ms = next_ms;
		turn(&w);
	}
	w.now_ms = end_ms;
	check_end(&w);
}

Test(machine_model, an_ephemeral_instance_ends_as_its_host_wants_it)
{
	for (uint32_t seed = 0; seed < 3000; seed++)
		run(seed, MACHINE_LIGHT);
}

Test(machine_model, a_persistent_instance_ends_as_its_host_wants_it)
{
	for (uint32_t seed = 0; seed < 3000; seed++)
		run(seed, MACHINE_PERSISTENT);
}

Test(machine_model, an_instance_beaten_in_full_ends_as_its_host_wants_it)
{
	for (uint32_t seed = 0; seed < 3000; seed++)
		run(seed, MACHINE_FULL);
}
