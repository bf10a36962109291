/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks: which slots are looked at, and how many in a turn
 *
 * A turn takes the dirty bits of every domain and works off a part of each domain's backlog, so that what
 * one uid does to its segment costs the others one turn of bounded length. Beyond that a uid has a number of
 * looks a second. One that has used them up is left alone until it has some again; its slots wait, each once, and
 * are read in their newest version then: a quota delays and never loses.
 *
 * Bits that lead to nothing cost too (all of them can be set all the time), so NOTED_PER_LOOK of them count as a
 * look. A domain that is left alone is not told that we sleep: it has nothing to ring for, we come by ourselves.
 *
 * Watcher thread only.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "segment/state.h"

#define LOOKS_PER_TURN 64u /* of one domain; about half a millisecond's work */
#define NOTED_PER_LOOK 64u

/*
 * A dirty bit. Whether there is news behind it costs one load to know. The number of a spoilt version proves
 * nothing: it is a stranger's, and the slot's own writer may come to the same one.
 */
static void note(void *ctx, uint32_t index)
{
	struct domain *d = ctx;
	uint32_t version;

	d->n_noted++;
	if (index >= d->n_high || !d->slots[index].domain)
		return;
	version = atomic_load_explicit(memory_pub(&d->memory, index), memory_order_acquire);
	if (version != 0 && (version != d->last[index] || d->slots[index].spoilt))
		backlog_add(&d->backlog, index);
}

/* Tells who was looked at last: if not the cause, then one of its user. */
static void tell_throttled(struct domain *d, uint64_t now_ms)
{
	const struct slot *slot = &d->slots[d->looked_at];
	struct watcher *w = d->watcher;
	char text[QUOTA_TEXT_MAX];

	if (!slot->lease || d->throttled_told_ms + QUOTA_WINDOW_MS > now_ms)
		return;
	d->throttled_told_ms = now_ms;
	snprintf(text, sizeof(text),
		 "uid %u publishes more than it may (updates_per_second = %u): the newest counts, "
		 "later",
		 d->uid, w->quotas.limits.updates_per_second);
	lease_refused(w, slot->lease->account, &slot->lease->identity, QUOTA_UPDATES, text);
}

static void work_off(struct domain *d, uint64_t now_ms)
{
	uint32_t index = 0;

	for (uint32_t n = 0; n < LOOKS_PER_TURN && rate_left(&d->looks, now_ms); n++) {
		if (!backlog_take(&d->backlog, &index))
			return;
		d->looked_at = index;
		rate_take(&d->looks, 1);
		atomic_fetch_add_explicit(&d->watcher->counts.looks, 1, memory_order_relaxed);
		hold_look(d->watcher, &d->slots[index]);
	}
}

static void drain_one(struct domain *d, uint64_t now_ms)
{
	if (!rate_left(&d->looks, now_ms))
		return;
	log_about(d->uid);
	d->n_noted = 0;
	(void)drain_dirty(&d->memory, note, d);
	rate_take(&d->looks, d->n_noted / NOTED_PER_LOOK);
	if (d->held_back && d->backlog.n_waiting > 0)
		tell_throttled(d, now_ms);
	d->held_back = false;
	work_off(d, now_ms);
	log_about_nobody();
}

void looks_drain(struct watcher *w, uint64_t now_ms)
{
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		if (w->domains[i])
			drain_one(w->domains[i], now_ms);
	}
}

void looks_sweep(struct watcher *w)
{
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		struct domain *d = w->domains[i];

		if (!d)
			continue;
		(void)drain_sweep(&d->memory, d->last, d->n_high, note, d);
		domain_report_lost(d);
	}
}

/* Slots that changed under every copy; their dirty bits are taken. */
void looks_retry(struct watcher *w)
{
	w->retry_due_ms = CLOCK_NEVER;
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		struct domain *d = w->domains[i];

		for (uint32_t s = 0; d && s < d->n_high; s++) {
			if (!d->slots[s].retry)
				continue;
			d->slots[s].retry = false;
			backlog_add(&d->backlog, s);
		}
	}
}

void looks_say_sleeping(struct watcher *w, bool sleeping, uint64_t now_ms)
{
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		struct domain *d = w->domains[i];

		if (d && (!sleeping || rate_left(&d->looks, now_ms)))
			drain_set_sleeping(&d->memory, sleeping);
	}
}

uint64_t looks_due_ms(struct watcher *w, uint64_t now_ms)
{
	uint64_t due_ms = CLOCK_NEVER;

	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		struct domain *d = w->domains[i];
		uint64_t d_ms = CLOCK_NEVER;

		if (!d)
			continue;
		d->held_back = !rate_left(&d->looks, now_ms);
		if (d->held_back)
			d_ms = rate_due_ms(&d->looks, now_ms);
		else if (d->backlog.n_waiting > 0 || drain_pending(&d->memory))
			return now_ms;
		due_ms = d_ms < due_ms ? d_ms : due_ms;
	}
	return due_ms;
}
