/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants: which lease may write which slot
 *
 * The agent grants and the agent alone takes back. One small slot is always granted ahead, so that a
 * registration is a memory write. A slot that its writer has withdrawn stays with its lease (SPARE) and may be
 * granted to that lease again; to any other only after proof that the process is dead, because a process that
 * merely lost its socket may still be writing. A process that comes back with a new lease inherits the spare
 * slots of its old ones: it is the same writer.
 *
 * A domain stays when its last process has gone, because users come back; when the table is full, the place of
 * the one that has been away longest is given to the next user.
 *
 * Everything is journalled before the client learns of it. Watcher thread only.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

void grant_link(struct lease *lease, struct slot *slot)
{
	assert(!slot->lease);
	slot->lease = lease;
	slot->lease_next = lease->slots;
	lease->slots = slot;
}

void grant_unlink(struct slot *slot)
{
	struct slot **at;

	if (!slot->lease)
		return;
	for (at = &slot->lease->slots; *at != slot; at = &(*at)->lease_next)
		assert(*at);
	*at = slot->lease_next;
	slot->lease_next = NULL;
	slot->lease = NULL;
}

static struct domain *find_domain(struct watcher *w, uid_t uid)
{
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		if (w->domains[i] && w->domains[i]->uid == uid)
			return w->domains[i];
	}
	return NULL;
}

static int hold_memfd(struct watcher *w, enum channel_kind kind, uid_t uid, int fd)
{
	struct channel_msg msg = {
		.version = CHANNEL_VERSION, .type = CHANNEL_HOLD, .kind = (uint16_t)kind, .id = uid
	};

	return channel_send(w->link, &msg, fd);
}

/* The keeper has both memfds before any client can have a lease in them: messages keep their order. */
int grant_introduce(struct watcher *w, struct domain *d)
{
	struct journal_domain rec = { .uid = d->uid, .n_slots = w->options.n_slots };
	int r;

	memcpy(rec.uuid, d->memory.uuid, sizeof(rec.uuid));
	journal_put_domain(w->journal, d->index, &rec);
	ONEBEAT_CRASH_POINT("agent.domain.journalled");
	r = hold_memfd(w, CHANNEL_DATA, d->uid, d->memory.data_fd);
	ONEBEAT_CRASH_POINT("agent.domain.data_sent");
	return r < 0 ? r : hold_memfd(w, CHANNEL_STATUS, d->uid, d->memory.status_fd);
}

static void drop_memfd(struct watcher *w, enum channel_kind kind, uid_t uid)
{
	struct channel_msg msg = {
		.version = CHANNEL_VERSION, .type = CHANNEL_DROP, .kind = (uint16_t)kind, .id = uid
	};

	(void)channel_send(w->link, &msg, -1); /* a keeper that is gone holds nothing */
}

/* Nobody holds a lease or a slot in it. The sender may still read a line by an old node: until a grace period is over. */
static void end_domain(struct watcher *w, struct domain *d)
{
	log_info("domain.end", "uid=%u next=\"its place is another user's\"", d->uid);
	journal_drop_domain(w->journal, d->index);
	drop_memfd(w, CHANNEL_DATA, d->uid);
	drop_memfd(w, CHANNEL_STATUS, d->uid);
	w->domains[d->index] = NULL;
	w->n_domains--;
	synchronize_rcu();
	domain_free(d);
}

/* A place in the table: a free one, or that of the user who has been away longest. JOURNAL_DOMAINS_MAX: all are in use. */
static uint32_t find_place(struct watcher *w)
{
	struct domain *away = NULL;
	uint32_t index;

	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		struct domain *d = w->domains[i];

		if (!d)
			return i;
		if (d->n_leases == 0 && d->n_used == 0 && (!away || d->used_ms < away->used_ms))
			away = d;
	}
	if (!away)
		return JOURNAL_DOMAINS_MAX;
	index = away->index;
	end_domain(w, away);
	return index;
}

struct domain *grant_domain(struct watcher *w, uid_t uid)
{
	struct domain *d = find_domain(w, uid);
	uint32_t index;
	int r;

	if (d) {
		d->used_ms = clock_now_ms();
		return d;
	}
	index = find_place(w);
	if (index == JOURNAL_DOMAINS_MAX) {
		errno = EUSERS;
		return NULL;
	}
	r = domain_new(&d, index, uid, w->options.n_slots);
	ONEBEAT_CRASH_POINT("agent.domain.made");
	if (r == 0)
		r = grant_introduce(w, d);
	if (r < 0) {
		journal_drop_domain(w->journal, index);
		domain_free(d);
		errno = -r;
		return NULL;
	}
	d->watcher = w;
	d->used_ms = clock_now_ms();
	rate_init(&d->looks, w->options.quotas.updates_per_second, clock_now_ms());
	ONEBEAT_CRASH_POINT("agent.domain.introduced");
	w->domains[index] = d;
	w->n_domains++;
	log_info("domain.new", "uid=%u slots=%u", uid, memory_n_slots(&d->memory));
	return d;
}

/* A granted slot is free for an answer while it is none and neither we nor its writer have seen anything in it. */
static bool untouched(const struct slot *s)
{
	return s->cookie == 0 && s->domain->last[s->index] == 0 &&
	       atomic_load_explicit(memory_pub(&s->domain->memory, s->index),
				    memory_order_acquire) == 0;
}

static struct slot *find_slot(struct lease *lease, enum slot_state state, enum onebeat_class class)
{
	for (struct slot *s = lease->slots; s; s = s->lease_next) {
		if (s->state == state && memory_class(&s->domain->memory, s->index) == class &&
		    (state != SLOT_GRANTED || untouched(s)))
			return s;
	}
	return NULL;
}

struct slot *grant_waiting(struct lease *lease, enum onebeat_class class)
{
	return find_slot(lease, SLOT_GRANTED, class);
}

void grant_count(struct watcher *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++)
		n += w->domains[i] ? w->domains[i]->n_used : 0;
	atomic_store_explicit(&w->counts.slots, n, memory_order_relaxed);
}

struct slot *grant_slot(struct lease *lease, enum onebeat_class class, uint32_t cookie)
{
	struct slot *slot = find_slot(lease, SLOT_SPARE, class);
	int r = slot ? domain_regrant(slot) : 0;

	if (!slot || r < 0) {
		slot = domain_grant(lease->domain, class);
		if (!slot)
			return NULL;
		grant_link(lease, slot);
	}
	slot->cookie = cookie;
	grant_count(lease->watcher);
	ONEBEAT_CRASH_POINT("agent.grant.opened");
	hold_journal(lease->watcher, slot);
	ONEBEAT_CRASH_POINT("agent.grant.journalled");
	return slot;
}

void grant_ahead(struct lease *lease)
{
	struct slot *slot;

	if (lease->state != LEASE_OPEN || grant_waiting(lease, ONEBEAT_CLASS_SMALL))
		return;
	slot = grant_slot(lease, ONEBEAT_CLASS_SMALL, 0);
	if (slot && lease->welcomed) /* else it goes with WELCOME */
		handshake_send_grant(lease, slot, 0);
}

void grant_missing(struct watcher *w)
{
	for (uint32_t i = 0; i < w->leases.n_items; i++) {
		struct lease *lease = w->leases.items[i];

		if (lease && lease->welcomed)
			grant_ahead(lease);
	}
}

/* Nobody writes it any more: free for the next one. */
void grant_release(struct watcher *w, struct slot *slot)
{
	journal_drop_slot(w->journal, slot->domain->index, slot->index);
	ONEBEAT_CRASH_POINT("agent.release.journalled");
	domain_release(slot);
	ONEBEAT_CRASH_POINT("agent.release.freed");
	grant_count(w);
}

/* Frees what no hold and no DELETE needs; a slot that a DELETE still needs only forgets its lease. */
static void reclaim_slot(struct watcher *w, struct slot *slot)
{
	grant_unlink(slot);
	if (slot->state == SLOT_LEAVING) {
		hold_journal(w, slot);
		return;
	}
	hold_forgive(w, slot);
	grant_release(w, slot);
}

void grant_reclaim(struct lease *lease)
{
	struct slot *next;

	for (struct slot *s = lease->slots; s; s = next) {
		next = s->lease_next;
		if (!s->instance || s->state == SLOT_LEAVING)
			reclaim_slot(lease->watcher, s);
	}
}

void grant_inherit(struct lease *lease)
{
	struct watcher *w = lease->watcher;
	struct slot *next;

	if (w->leases.n_used == w->n_open)
		return; /* the usual case: every lease is open, none is watched */
	for (uint32_t i = 0; i < w->leases.n_items; i++) {
		struct lease *old = w->leases.items[i];

		if (!old || old == lease || old->state != LEASE_WATCHED ||
		    !identity_same(&old->identity, &lease->identity) ||
		    old->domain != lease->domain)
			continue;
		for (struct slot *s = old->slots; s; s = next) {
			next = s->lease_next;
			if (s->state != SLOT_SPARE && s->state != SLOT_GRANTED)
				continue;
			s->state = SLOT_SPARE;
			s->cookie = 0; /* of the other lease's questions */
			grant_unlink(s);
			grant_link(lease, s);
			hold_journal(w, s);
			ONEBEAT_CRASH_POINT("agent.inherit.slot");
		}
		lease_settle(old);
	}
}
