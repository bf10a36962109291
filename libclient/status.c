/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an instance stands, and the sign of life
 *
 * Nothing here takes the lock or makes a system call, so it works in forked children and next to a call that
 * waits. The agent stores the words of a status line and then moves its version; so we read version, words and
 * version again. A line that never stands still is read as it is after LOOKS tries: each word is true by itself.
 *
 * The instance may change its slot meanwhile. Its place is looked at again after the line, which is only
 * believed when it speaks of that grant. The windows that slots are looked up in never move.
 *
 * A forked child has the place as it was at the fork. There a confirmation of a later version, the parent's,
 * counts too.
 */
#include "status.h"

#include <string.h>

#include "clock.h"

#define LOOKS 4

static uint32_t load(const onebeat_word *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void load_words(uint32_t *to, const onebeat_word *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = load(&from[i]);
}

static void read_words(const struct onebeat_status_line *line, struct status_view *out,
		       uint32_t *generation, uint32_t *confirmed)
{
	const uint32_t state_code = load(&line->state_code);

	*generation = load(&line->generation);
	*confirmed = load(&line->confirmed);
	out->state = state_code >> 16;
	out->code = state_code & 0xffff;
	out->judged = load(&line->judged);
	out->beat_ms = load(&line->beat_ms);
	out->since_ms = load(&line->since_ms);
	out->holders = load(&line->holders);
	load_words(out->ip, line->ip, ONEBEAT_STATUS_IP_WORDS);
	load_words(out->text, line->text, ONEBEAT_STATUS_TEXT_WORDS);
}

static void read_line(const struct onebeat_status_line *line, struct status_view *out,
		      uint32_t *generation, uint32_t *confirmed)
{
	for (int i = 0; i < LOOKS; i++) {
		out->futex_value = atomic_load_explicit(&line->version, memory_order_acquire);
		read_words(line, out, generation, confirmed);
		atomic_thread_fence(memory_order_acquire);
		if (load(&line->version) == out->futex_value)
			return;
	}
}

/* What is known without the agent. */
static void look_alone(const struct onebeat_instance *inst, struct status_view *out, bool attached)
{
	memset(out, 0, sizeof(*out));
	out->state = attached ? ONEBEAT_STATE_PENDING : ONEBEAT_STATE_DETACHED;
	out->since_ms = load(&inst->since_ms);
	if (!attached && (int32_t)(load(&inst->ob->link_since_ms) - out->since_ms) > 0)
		out->since_ms = load(&inst->ob->link_since_ms);
}

/* No slot is granted for what was written last; what was accepted before stays as it is. */
static void add_refusal(const struct onebeat_instance *inst, struct status_view *out)
{
	if (!atomic_load_explicit(&inst->refused, memory_order_acquire))
		return;
	out->state = ONEBEAT_STATE_REFUSED;
	out->confirmed = false;
	load_words(out->text, inst->why, ONEBEAT_STATUS_TEXT_WORDS);
}

/* One look at the slot. False: the place has changed under it. */
static bool look_at(const struct onebeat_instance *inst, struct status_view *out, uint32_t slot)
{
	const struct place *place = &inst->place;
	const struct onebeat_status_line *line = segment_map_line(&inst->ob->map, slot);
	const uint32_t generation = load(&place->generation);
	uint32_t line_generation, confirmed;

	out->version = load(&place->version);
	read_line(line, out, &line_generation, &confirmed);
	atomic_thread_fence(memory_order_acquire);
	if (load(&place->slot) != slot || load(&place->generation) != generation)
		return false;
	if (line_generation != generation || out->judged == 0 || out->state > ONEBEAT_STATE_GONE) {
		const uint32_t value = out->futex_value;
		const uint32_t version = out->version;

		look_alone(inst, out, true);
		out->futex_value = value;
		out->version = version;
	} else {
		out->current = true;
		if (out->since_ms == 0)
			out->since_ms = load(&inst->since_ms);
		out->confirmed = (out->state == ONEBEAT_STATE_UP ||
				  out->state == ONEBEAT_STATE_DOWN) &&
				 confirmed != 0 && (int32_t)(confirmed - out->version) >= 0 &&
				 !inst->dirty; /* what was written last may not be in a slot yet */
	}
	out->futex = &line->version;
	return true;
}

void onebeat__status_look(const struct onebeat_instance *inst, struct status_view *out)
{
	const bool attached = handle_link(inst->ob) == LINK_ATTACHED;

	look_alone(inst, out, attached);
	for (int i = 0; attached && i < LOOKS; i++) {
		const uint32_t slot = place_slot(&inst->place);

		if (slot >= segment_map_n_slots(&inst->ob->map) || look_at(inst, out, slot))
			break;
		look_alone(inst, out, true);
	}
	add_refusal(inst, out);
}

/* The other side reads the clock too, and may be a little later in doing so. */
static uint32_t age(uint32_t now_ms, uint32_t then_ms)
{
	const uint32_t age_ms = now_ms - then_ms;

	return age_ms > UINT32_MAX - 1000u ? 0 : age_ms;
}

static void copy_text(char *to, size_t size, const uint32_t *words)
{
	memcpy(to, words, size);
	to[size - 1] = '\0';
}

_Static_assert(sizeof(((struct onebeat_report *)0)->ip) == ONEBEAT_STATUS_IP_WORDS * 4,
	       "ip is as long as a line's");
_Static_assert(sizeof(((struct onebeat_report *)0)->text) == ONEBEAT_STATUS_TEXT_WORDS * 4,
	       "so is text");

/* The order in which one state of an instance in several registries hides another: the first is worst. */
static uint32_t rank(uint32_t state)
{
	static const uint8_t ranks[ONEBEAT_STATE_GONE + 1] = {
		[ONEBEAT_STATE_REFUSED] = 0,     [ONEBEAT_STATE_DETACHED] = 1,
		[ONEBEAT_STATE_PENDING] = 2,     [ONEBEAT_STATE_WAITING] = 3,
		[ONEBEAT_STATE_REGISTERING] = 4, [ONEBEAT_STATE_GONE] = 5,
		[ONEBEAT_STATE_LEAVING] = 6,     [ONEBEAT_STATE_DOWN] = 7,
		[ONEBEAT_STATE_UP] = 8,
	};

	return state <= ONEBEAT_STATE_GONE ? ranks[state] : 0;
}

static uint32_t beat_age(const struct status_view *view, uint32_t now_ms)
{
	return view->beat_ms ? age(now_ms, view->beat_ms) : UINT32_MAX;
}

/* "NAME: text" as far as there is room, where more than one registry has a say. */
_Static_assert(ONEBEAT_REGISTRY_MAX + 2 < ONEBEAT_TEXT_MAX, "a name leaves room for a text");
static void name_registry(struct onebeat_report *report, const struct onebeat_instance *inst)
{
	char text[ONEBEAT_TEXT_MAX];
	const size_t n_text = strlen(report->text);
	size_t n = strlen(inst->registry);

	if (n_text == 0)
		return;
	memcpy(text, inst->registry, n);
	text[n++] = ':';
	text[n++] = ' ';
	memcpy(text + n, report->text, n_text < sizeof(text) - n ? n_text + 1 : sizeof(text) - n);
	text[sizeof(text) - 1] = '\0';
	memcpy(report->text, text, sizeof(text));
}

static void report_one(const struct status_view *view, uint32_t now_ms,
		       struct onebeat_report *report)
{
	report->state = (int32_t)view->state;
	report->code = (int32_t)view->code;
	report->confirmed = view->confirmed;
	report->holders = view->holders;
	report->beat_age_ms = beat_age(view, now_ms);
	report->since_ms = age(now_ms, view->since_ms);
	copy_text(report->ip, sizeof(report->ip), view->ip);
	copy_text(report->text, sizeof(report->text), view->text);
}

/* The one that is worst off tells; what is confirmed and how old a beat is are true of all. */
static void report_all(const struct onebeat_instance *first, uint32_t now_ms,
		       struct onebeat_report *report)
{
	const struct onebeat_instance *worst = first;
	uint32_t confirmed = report->confirmed;
	uint32_t oldest_ms = report->beat_age_ms;
	struct status_view view;

	for (const struct onebeat_instance *inst = first->next; inst; inst = inst->next) {
		onebeat__status_look(inst, &view);
		confirmed = confirmed && view.confirmed;
		if (beat_age(&view, now_ms) > oldest_ms)
			oldest_ms = beat_age(&view, now_ms);
		if (rank(view.state) >= rank((uint32_t)report->state))
			continue;
		worst = inst;
		report_one(&view, now_ms, report);
	}
	report->confirmed = confirmed;
	report->beat_age_ms = oldest_ms;
	if (first->next)
		name_registry(report, worst);
}

int onebeat_status(const struct onebeat_instance *inst, struct onebeat_report *report)
{
	struct status_view view;
	uint32_t now_ms;

	if (!report)
		return ONEBEAT_E_NULL;
	if (report->size != sizeof(*report))
		return ONEBEAT_E_SIZE;
	if (!onebeat__handle_is_instance(inst))
		return ONEBEAT_E_HANDLE;
	onebeat__status_look(inst, &view);
	now_ms = clock_boot_ms();
	report_one(&view, now_ms, report);
	report_all(inst, now_ms, report);
	return 0;
}

static void tick_one(const struct onebeat_instance *inst)
{
	const uint32_t slot = place_slot(&inst->place);

	if (slot < segment_map_n_slots(&inst->ob->map))
		atomic_fetch_add_explicit(segment_map_tick(&inst->ob->map, slot), 1,
					  memory_order_relaxed);
}

void onebeat_tick(const struct onebeat_instance *inst)
{
	if (!onebeat__handle_is_instance(inst))
		return;
	for (; inst; inst = inst->next)
		tick_one(inst);
}
