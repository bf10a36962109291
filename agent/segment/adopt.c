/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adoption: what a predecessor left
 *
 * The manifest names the descriptors that the keeper held; the journal says what they were. A lease whose socket
 * was held goes on as if nothing had happened. One whose socket is lost (the keeper died too) is known by its
 * process: pid and start time, and then its pidfd. A segment that is lost is replaced, and the holds in it live
 * on the journal's descriptors (SLOT_LOST) until their processes come back with a new lease or die.
 *
 * An instance's past requests decide what the sender does first: see machine_adopt(). Instances that nobody
 * holds any more are deregistered. Descriptors that the journal does not know are closed: their clients see the
 * end and come back.
 *
 * The slot at hand is marked in the journal: when adopting one kills the agent again and again, the keeper says
 * "quarantine", and that slot is left out. Runs once, before the watcher's first turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/state.h"

/* Takes the descriptor of an entry: what is left untaken at the end is closed. */
static int take_entry(struct manifest_entry *entries, uint32_t n, enum channel_kind kind,
		      uint64_t id)
{
	for (uint32_t i = 0; i < n; i++) {
		if (entries[i].kind == kind && entries[i].id == id && entries[i].fd >= 0) {
			int fd = entries[i].fd;

			entries[i].fd = -1;
			return fd;
		}
	}
	return -1;
}

struct adoption {
	struct watcher *w;
	struct manifest_entry *entries;
	uint32_t n_entries;
	bool quarantine;
	uint32_t bad_domain, bad_slot;
	uint32_t n_slots;
};

/* Closes a descriptor here and at the keeper, so that its client sees the end and comes back. */
static void give_up(struct adoption *a, uint32_t kind, uint64_t id, int *fd)
{
	struct channel_msg drop = {
		.version = CHANNEL_VERSION, .type = CHANNEL_DROP, .kind = (uint16_t)kind, .id = id
	};

	if (*fd < 0)
		return;
	(void)channel_send(a->w->link, &drop, -1);
	ONEBEAT_CRASH_POINT("agent.adopt.drop_sent");
	close_fdp(fd);
}

static void enter_domain(struct watcher *w, uint32_t index)
{
	struct domain *d = w->domains[index];

	d->watcher = w;
	rate_init(&d->looks, w->options.quotas.updates_per_second, clock_now_ms());
	w->n_domains++;
}

static int adopt_domain(struct adoption *a, uint32_t index, const struct journal_domain *rec,
			bool *lost)
{
	struct watcher *w = a->w;
	int data_fd = take_entry(a->entries, a->n_entries, CHANNEL_DATA, rec->uid);
	int status_fd = take_entry(a->entries, a->n_entries, CHANNEL_STATUS, rec->uid);
	int r = -ENOENT;

	*lost = false;
	if (data_fd >= 0 && status_fd >= 0) {
		r = domain_adopt(&w->domains[index], index, rec->uid, w->options.n_slots, rec->uuid,
				 data_fd, status_fd);
	} else {
		close_fdp(&data_fd);
		close_fdp(&status_fd);
	}
	if (r == 0) {
		enter_domain(w, index);
		ONEBEAT_CRASH_POINT("agent.adopt.domain");
		return 0;
	}
	log_warning("adopt.segment",
		    "uid=%u error=%s next=\"a new one; processes come back to it\"", rec->uid,
		    LOG_Q(strerror(-r)));
	*lost = true;
	r = domain_new(&w->domains[index], index, rec->uid, w->options.n_slots);
	if (r < 0)
		return r;
	enter_domain(w, index);
	ONEBEAT_CRASH_POINT("agent.adopt.segment_replaced");
	return 0;
}

static void identity_from(const struct journal_lease *rec, struct identity *id)
{
	*id = (struct identity){
		.pid = rec->pid,
		.uid = rec->uid,
		.gid = rec->gid,
		.cookie = rec->cookie,
		.start_ticks = rec->start_ticks,
		.exe_dev = rec->exe_dev,
		.exe_ino = rec->exe_ino,
		.netns = rec->netns,
	};
	memcpy(id->program, rec->program, sizeof(id->program));
	id->program[sizeof(id->program) - 1] = '\0';
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &n) == 0 ? cookie : 0;
}

static struct domain *domain_of(struct watcher *w, uid_t uid)
{
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		if (w->domains[i] && w->domains[i]->uid == uid)
			return w->domains[i];
	}
	return NULL;
}

static void adopt_lease(struct adoption *a, uint32_t index, const struct journal_lease *rec)
{
	int fd = take_entry(a->entries, a->n_entries, CHANNEL_LEASE, rec->cookie);
	struct domain *domain = domain_of(a->w, rec->uid);
	struct quota_account *account;
	struct lease *lease = NULL;
	struct identity id;

	if (fd >= 0 && cookie_of(fd) != rec->cookie)
		give_up(a, CHANNEL_LEASE, rec->cookie, &fd);
	identity_from(rec, &id);
	account = quota_account(&a->w->quotas, rec->uid, clock_now_ms());
	if (domain && account)
		lease = lease_new(a->w, fd, &id, -1, index);
	if (!lease) {
		log_error("adopt.lease", "pid=%d error=\"no memory or no segment\"", rec->pid);
		give_up(a, CHANNEL_LEASE, rec->cookie, &fd);
		return;
	}
	lease->account = account;
	quota_adopt(&a->w->quotas, account);
	handshake_find_rules(lease);
	lease->domain = domain;
	domain->n_leases++;
	lease->flags = rec->flags;
	if (fd >= 0)
		lease->state = LEASE_OPEN;
	else
		lease->state = rec->state == LEASE_ENDED ? LEASE_ENDED : LEASE_WATCHED;
	lease->welcomed = rec->state != LEASE_HOLDING;
	if (fd >= 0)
		lease_opened(lease);
	lease_journal(lease);
	ONEBEAT_CRASH_POINT("agent.adopt.lease");
}

/* What was asked of the registry, for the sender; what it has confirmed stands from the start. */
static void remember(struct watcher *w, struct beat *beat, const struct journal_progress *past)
{
	uint64_t now_ms = clock_now_ms();

	beat->adopted = true;
	beat->past = (struct machine_past){
		.posted = past->posted,
		.acked = past->acked,
		.delete_attempted = past->delete_attempted != 0,
		.beat_due_ms = journal_get_due(w->journal, beat->id, now_ms),
	};
	if (past->acked > 0 && past->posted == past->acked && !past->delete_attempted) {
		atomic_init(&beat->state, MACHINE_UP);
		atomic_init(&beat->acked, past->acked);
		atomic_init(&beat->since_ms, now_ms);
	}
}

static struct instance *instance_for(struct watcher *w, struct descriptor *d, uint32_t id,
				     uint32_t owner)
{
	struct journal_instance rec;
	struct journal_progress past;
	struct instance *inst = instance_find(w, d);

	if (inst)
		return inst;
	inst = instance_new(w, d, id, owner);
	if (!inst)
		return NULL;
	if (journal_get_instance(w->journal, id, &rec))
		inst->version = rec.version;
	if (journal_get_progress(w->journal, id, &past))
		remember(w, inst->beat, &past);
	return inst;
}

/* The recorded descriptor as it was in force: decoded again, with the address that was chosen then. */
static struct descriptor *descriptor_from(struct watcher *w, const struct journal_slot *rec,
					  bool *gave_ip)
{
	char why[DECODE_WHY_MAX] = "";
	struct descriptor *d, *whole;

	if (decode_descriptor(rec->descriptor, rec->length, &d, why) < 0)
		return NULL;
	*gave_ip = d->ip[0] != '\0';
	whole = registries_complete(w, d, *gave_ip ? NULL : rec->ip, why);
	descriptor_unref(d);
	return whole;
}

static void adopt_hold(struct adoption *a, struct slot *slot, const struct journal_slot *rec)
{
	struct watcher *w = a->w;
	struct instance *inst;

	slot->descriptor = descriptor_from(w, rec, &slot->gave_ip);
	inst = slot->descriptor
		       ? instance_for(w, slot->descriptor, rec->instance, slot->domain->index)
		       : NULL;
	if (!inst) {
		log_error("adopt.slot",
			  "slot=%u error=\"its record makes no sense\" next=\"left out\"",
			  slot->index);
		return;
	}
	slot->version = rec->version;
	slot->policy = (uint8_t)rec->policy;
	slot->withdrawn = (rec->policy & JOURNAL_WITHDRAWN) != 0;
	slot->order = rec->order;
	if (slot->state == SLOT_LIVE)
		slot->tick = atomic_load_explicit(memory_tick(&slot->domain->memory, slot->index),
						  memory_order_relaxed);
	if (rec->order > w->order)
		w->order = rec->order;
	slot->instance = inst;
	if (rec->state == SLOT_LEAVING) {
		slot->lost = slot->state == SLOT_LOST;
		slot->state = SLOT_LEAVING;
		inst->leaving = slot;
		return;
	}
	slot->hold_next = inst->holds;
	inst->holds = slot;
	inst->n_holds++;
	a->n_slots++;
}

/* Adopting it has killed our predecessors. */
static bool is_bad(const struct adoption *a, const struct domain *d, uint32_t index)
{
	return a->quarantine && d->index == a->bad_domain && index == a->bad_slot;
}

static void adopt_slot(struct adoption *a, struct domain *d, uint32_t index, bool lost)
{
	static struct journal_slot rec;
	struct watcher *w = a->w;
	struct lease *lease;
	struct slot *slot;
	bool held;
	int r;

	if (!journal_get_slot(w->journal, d->index, index, &rec) || rec.state == SLOT_FREE ||
	    rec.state > SLOT_LOST)
		return;
	held = rec.state == SLOT_LIVE || rec.state == SLOT_LEAVING || rec.state == SLOT_LOST;
	lease = numbered_get(&w->leases, rec.lease);
	if ((lost && !held) || (!held && !lease)) {
		journal_drop_slot(w->journal, d->index, index);
		ONEBEAT_CRASH_POINT("agent.adopt.slot_dropped");
		return;
	}
	if (is_bad(a, d, index)) {
		log_error("adopt.quarantine", "uid=%u slot=%u next=\"nothing of it is believed\"",
			  d->uid, index);
		rec.state = SLOT_SPARE; /* nobody else may have it: its process may be writing */
		held = false;
	}
	journal_mark_adopting(w->journal, d->index | w->leave_mark, index);
	r = domain_take(d, index, lost ? SLOT_LOST : (enum slot_state)rec.state, rec.generation);
	if (r < 0) {
		log_error("adopt.slot", "uid=%u slot=%u error=%s next=\"left out\"", d->uid, index,
			  LOG_Q(strerror(-r)));
		return;
	}
	slot = &d->slots[index];
	slot->cookie = rec.cookie;
	d->last[index] = rec.state == SLOT_LIVE ? rec.version : 0;
	if (lease)
		grant_link(lease, slot);
	if (held)
		adopt_hold(a, slot, &rec);
	if (lost || !held)
		hold_journal(w, slot); /* a later agent must find it as it is now */
	ONEBEAT_CRASH_POINT("agent.adopt.slot");
}

static void adopt_domains(struct adoption *a, bool lost[JOURNAL_DOMAINS_MAX])
{
	struct journal_domain rec;

	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		int r;

		if (!journal_get_domain(a->w->journal, i, &rec))
			continue;
		r = adopt_domain(a, i, &rec, &lost[i]);
		if (r < 0)
			log_error("adopt.domain", "uid=%u error=%s", rec.uid, LOG_Q(strerror(-r)));
	}
}

/*
 * Only when the journal says of every slot that its segment was lost: a successor that found the new segment would
 * otherwise take it for the one that the slots are in.
 */
static void introduce_replaced(struct watcher *w, const bool lost[JOURNAL_DOMAINS_MAX])
{
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		int r = lost[i] && w->domains[i] ? grant_introduce(w, w->domains[i]) : 0;

		if (r < 0)
			log_error("adopt.domain", "uid=%u error=%s", w->domains[i]->uid,
				  LOG_Q(strerror(-r)));
	}
}

static void adopt_leases(struct adoption *a)
{
	struct journal_lease rec;

	for (uint32_t i = 0; i < JOURNAL_LEASES_MAX; i++) {
		if (journal_get_lease(a->w->journal, i, &rec))
			adopt_lease(a, i, &rec);
	}
}

/* A hold without a lease cannot end by itself: nobody's life is its life. */
static void drop_unheld(struct watcher *w, struct domain *d)
{
	for (uint32_t i = 0; i < d->n_high; i++) {
		struct slot *s = &d->slots[i];

		if ((s->state == SLOT_LIVE || s->state == SLOT_LOST) && (!s->lease || !s->instance))
			hold_drop(w, s);
	}
}

static void decide_all(struct watcher *w)
{
	for (uint32_t i = 0; i < w->instances.n_items; i++) {
		struct instance *inst = w->instances.items[i];

		if (!inst)
			continue;
		hold_supersede_all(w, inst);
		instance_adopted(w, inst);
	}
}

/* Its socket is lost: its process is all there is, if that can be found. */
static void start_unheld(struct lease *lease)
{
	bool known_dead = lease->state == LEASE_ENDED; /* its hold lingers, and may go on */

	if (!known_dead && !lease_findable(lease)) {
		lease_await(lease);
		return;
	}
	if (known_dead || !lease_mind_process(lease)) {
		lease_died(lease);
		return;
	}
	lease_check_program(lease);
	lease_settle(lease);
}

/* Leases begin to speak: what died meanwhile is found here. */
static void start_leases(struct watcher *w)
{
	for (uint32_t i = 0; i < w->leases.n_items; i++) {
		struct lease *lease = w->leases.items[i];

		if (!lease)
			continue;
		if (lease->state == LEASE_OPEN) {
			if (lease_watch(lease) < 0)
				lease_ended(lease);
			else
				lease_watch_owner(lease);
		} else {
			start_unheld(lease);
		}
	}
}

/* What was published or marked while nobody looked. */
static void look_at_all(struct watcher *w, struct domain *d)
{
	for (uint32_t i = 0; i < d->n_high; i++) {
		if (!d->slots[i].domain)
			continue;
		journal_mark_adopting(w->journal, d->index | w->leave_mark, i);
		hold_look(w, &d->slots[i]);
		ONEBEAT_CRASH_POINT("agent.adopt.looked");
	}
	journal_mark_adopting(w->journal, w->leave_mark, ONEBEAT_NO_SLOT);
}

static void close_untaken(struct adoption *a)
{
	for (uint32_t i = 0; i < a->n_entries; i++)
		give_up(a, a->entries[i].kind, a->entries[i].id, &a->entries[i].fd);
}

static uint32_t n_recorded(struct watcher *w)
{
	struct journal_instance rec;
	uint32_t n = 0;

	for (uint32_t i = 0; i < JOURNAL_INSTANCES_MAX; i++)
		n += journal_get_instance(w->journal, i, &rec);
	return n;
}

int adopt_all(struct watcher *w)
{
	bool lost[JOURNAL_DOMAINS_MAX] = { false };
	struct adoption a = { .w = w, .n_entries = w->options.manifest->n_entries };

	a.entries = calloc(a.n_entries ? a.n_entries : 1, sizeof(*a.entries));
	if (!a.entries)
		return -ENOMEM;
	memcpy(a.entries, w->options.entries, a.n_entries * sizeof(*a.entries));
	w->link = take_entry(a.entries, a.n_entries, CHANNEL_LINK, 0);
	w->clients = take_entry(a.entries, a.n_entries, CHANNEL_CLIENTS, 0);
	(void)take_entry(a.entries, a.n_entries, CHANNEL_CONTROL, 0); /* the control thread's */
	a.quarantine = w->options.manifest->quarantine != 0;
	journal_adopting(w->journal, &a.bad_domain, &a.bad_slot);
	w->leave_mark = a.bad_domain & JOURNAL_LEAVING;
	a.bad_domain &= ~JOURNAL_LEAVING;
	dom2beat_reserve(w->options.map, n_recorded(w));
	adopt_domains(&a, lost);
	adopt_leases(&a);
	for (uint32_t d = 0; d < JOURNAL_DOMAINS_MAX; d++) {
		for (uint32_t i = 0; w->domains[d] && i < w->options.n_slots; i++)
			adopt_slot(&a, w->domains[d], i, lost[d]);
	}
	journal_mark_adopting(w->journal, w->leave_mark, ONEBEAT_NO_SLOT);
	ONEBEAT_CRASH_POINT("agent.adopt.slots");
	introduce_replaced(w, lost);
	close_untaken(&a);
	ONEBEAT_CRASH_POINT("agent.adopt.closed_untaken");
	free(a.entries);
	decide_all(w);
	ONEBEAT_CRASH_POINT("agent.adopt.decided");
	for (uint32_t d = 0; d < JOURNAL_DOMAINS_MAX; d++) {
		if (w->domains[d])
			drop_unheld(w, w->domains[d]);
	}
	ONEBEAT_CRASH_POINT("agent.adopt.dropped_unheld");
	start_leases(w);
	ONEBEAT_CRASH_POINT("agent.adopt.started_leases");
	for (uint32_t d = 0; d < JOURNAL_DOMAINS_MAX; d++) {
		if (w->domains[d])
			look_at_all(w, w->domains[d]);
	}
	grant_missing(w);
	ONEBEAT_CRASH_POINT("agent.adopt.all");
	lease_count(w);
	grant_count(w);
	atomic_store_explicit(&w->counts.adopted, a.n_slots, memory_order_relaxed);
	if (a.n_slots > 0)
		log_info("adopt", "instances=%u leases=%u open=%u", w->instances.n_used,
			 w->leases.n_used, w->n_open);
	return w->link < 0 || w->clients < 0 ? -EBADMSG : 0;
}
