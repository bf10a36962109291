/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal
 *
 * What an agent must leave to its successor, in one mapped file: no request, no flush, a store is enough,
 * because it has to outlive a process and not the machine. The file is stamped with the boot id, so that a
 * reboot makes it a fresh one.
 *
 *   0          struct stamp
 *   common     one table each: the slot being adopted, domains, leases, instances, their progress; then a word
 *              an instance: when its next beat is due
 *   per domain one table of small slots and one of large ones
 *
 * Every record is a pair of cells (cells.h). The file is sparse (sparse.h): a page is made when a record in
 * it is put first, and a put that finds no room says so. A domain's part is mapped at its first put; those
 * that the file has already are mapped when it is opened. A small slot takes 1096 bytes.
 *
 * A due word is stored at every beat, so it is no record: one aligned store cannot be torn, and whatever stands
 * there decides no more than when the first beat after adoption goes out.
 *
 * Records hold the structs of journal.h as they are in memory. FORMAT is raised when one of them changes its
 * meaning; a change of number or size shows by itself, because the stamp has them.
 */
#include "segment/journal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "segment/cells.h"
#include "segment/memory.h"
#include "segment/sparse.h"
#include "segment/stamp.h"

#define MAGIC "\x89OBJ\r\n\x1a\n"
#define FORMAT 1u

struct adopting {
	uint32_t domain;
	uint32_t slot;
};

_Static_assert(offsetof(struct adopting, domain) == 0 && offsetof(struct adopting, slot) == 4,
	       "two words");

/* A slot's record is stored up to the end of its descriptor. */
#define SLOT_HEAD ((uint32_t)offsetof(struct journal_slot, descriptor))

/* The largest record: that of a large slot. */
#define RECORD_MAX (2 * (CELLS_HEAD + sizeof(struct journal_slot)))

enum {
	ADOPTING,
	DOMAINS,
	LEASES,
	INSTANCES,
	PROGRESS,
	N_TABLES
};

struct table {
	uint32_t n_records;
	uint32_t max; /* bytes of data in a record */
};

static const struct table tables[N_TABLES] = {
	[ADOPTING] = { 1, sizeof(struct adopting) },
	[DOMAINS] = { JOURNAL_DOMAINS_MAX, sizeof(struct journal_domain) },
	[LEASES] = { JOURNAL_LEASES_MAX, sizeof(struct journal_lease) },
	[INSTANCES] = { JOURNAL_INSTANCES_MAX, sizeof(struct journal_instance) },
	[PROGRESS] = { JOURNAL_INSTANCES_MAX, sizeof(struct journal_progress) },
};

_Static_assert(2 * N_TABLES + ONEBEAT_N_CLASSES + 1 <= STAMP_SIZES, "all sizes fit the stamp");

struct journal {
	int fd;
	uint32_t n_slots;
	uint64_t common_size;
	uint64_t domain_size;
	struct sparse common; /* the due words begin at table_offset(N_TABLES) */
	struct sparse domains[JOURNAL_DOMAINS_MAX];
};

static uint64_t align(uint64_t n)
{
	return (n + SPARSE_ALIGN - 1) / SPARSE_ALIGN * SPARSE_ALIGN;
}

/* Where a table begins; for N_TABLES, where the last one ends. */
static uint64_t table_offset(int table)
{
	uint64_t offset = sizeof(struct stamp);

	for (int i = 0; i < table; i++)
		offset += (uint64_t)tables[i].n_records * cells_size(tables[i].max);
	return offset;
}

static uint64_t due_offset(uint32_t instance)
{
	return table_offset(N_TABLES) + (uint64_t)instance * sizeof(uint32_t);
}

static uint32_t slot_max(enum onebeat_class class)
{
	return SLOT_HEAD +
	       (class == ONEBEAT_CLASS_SMALL ? ONEBEAT_SMALL_PAYLOAD : ONEBEAT_LARGE_PAYLOAD);
}

/* Where a domain's slot lies in its part of the file; for n_slots, where the last one ends. */
static uint64_t slot_offset(uint32_t n_slots, uint32_t slot)
{
	const uint32_t n_small = memory_n_small(n_slots);
	const uint32_t below = slot < n_small ? slot : n_small;

	return (uint64_t)below * cells_size(slot_max(ONEBEAT_CLASS_SMALL)) +
	       (uint64_t)(slot - below) * cells_size(slot_max(ONEBEAT_CLASS_LARGE));
}

/* What a journal of this build, this boot and this geometry begins with. */
static int expect_stamp(struct stamp *s, uint32_t n_slots)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->magic, MAGIC, sizeof(s->magic));
	s->byte_order = ONEBEAT_SEGMENT_BYTE_ORDER;
	s->format = FORMAT;
	s->n_slots = n_slots;
	for (int i = 0; i < N_TABLES; i++) {
		s->sizes[2 * i] = tables[i].n_records;
		s->sizes[2 * i + 1] = tables[i].max;
	}
	s->sizes[2 * N_TABLES] = slot_max(ONEBEAT_CLASS_SMALL);
	s->sizes[2 * N_TABLES + 1] = slot_max(ONEBEAT_CLASS_LARGE);
	s->sizes[2 * N_TABLES + 2] = JOURNAL_INSTANCES_MAX; /* due words */
	return stamp_complete(s);
}

static off_t domain_start(const struct journal *j, uint32_t domain)
{
	return (off_t)(j->common_size + domain * j->domain_size);
}

/* Maps the parts of domains that a predecessor has made: a get cannot say that it failed to. */
static int map_kept_domains(struct journal *j)
{
	struct stat st;
	int r = fstat(j->fd, &st) < 0 ? -errno : 0;

	for (uint32_t i = 0; r == 0 && i < JOURNAL_DOMAINS_MAX; i++) {
		if (st.st_size <= domain_start(j, i))
			break;
		r = sparse_map(&j->domains[i], j->fd, domain_start(j, i), j->domain_size);
	}
	return r;
}

static int attach(struct journal *j, const char *dir, const struct stamp *stamp)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/journal", dir);
	int outcome;
	int r;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	outcome = stamp_open(path, stamp, &j->fd);
	if (outcome < 0)
		return outcome;
	r = sparse_map(&j->common, j->fd, 0, j->common_size);
	/* The tables that are put without a result. */
	if (r == 0)
		r = sparse_reserve(&j->common, 0, table_offset(LEASES));
	if (r == 0 && outcome == STAMP_KEPT)
		r = map_kept_domains(j);
	if (r < 0)
		return r;
	if (outcome == STAMP_FRESH)
		stamp_write(j->common.base, stamp);
	return outcome == STAMP_FRESH ? JOURNAL_FRESH : JOURNAL_KEPT;
}

int journal_open(struct journal **out, const char *dir, uint32_t n_slots)
{
	struct stamp stamp;
	struct journal *j;
	int r;

	*out = NULL;
	if (n_slots == 0 || n_slots > ONEBEAT_SLOTS_MAX)
		return -EINVAL;
	r = expect_stamp(&stamp, n_slots);
	if (r < 0)
		return r;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->fd = -1;
	j->n_slots = n_slots;
	j->common_size = align(due_offset(JOURNAL_INSTANCES_MAX));
	j->domain_size = align(slot_offset(n_slots, n_slots));
	r = attach(j, dir, &stamp);
	*out = r < 0 ? journal_close(j) : j;
	return r;
}

int journal_look(const char *dir, uint32_t *n_slots)
{
	char path[PATH_MAX];
	struct stamp have, want;
	int n = snprintf(path, sizeof(path), "%s/journal", dir);

	if (n < 0 || (size_t)n >= sizeof(path) || stamp_look(path, &have) < 0 ||
	    expect_stamp(&want, have.n_slots) < 0 ||
	    memcmp(have.magic, want.magic, sizeof(want.magic)) != 0 ||
	    memcmp(have.boot_id, want.boot_id, sizeof(want.boot_id)) != 0)
		return JOURNAL_NONE;
	*n_slots = have.n_slots;
	return memcmp(&have, &want, sizeof(want)) == 0 && *n_slots > 0 &&
			       *n_slots <= ONEBEAT_SLOTS_MAX
		       ? JOURNAL_READABLE
		       : JOURNAL_OTHER;
}

struct journal *journal_close(struct journal *j)
{
	if (!j)
		return NULL;
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++)
		sparse_unmap(&j->domains[i]);
	sparse_unmap(&j->common);
	close_fdp(&j->fd);
	free(j);
	return NULL;
}

/* Where one record is and how much it holds. */
struct place {
	struct sparse *part;
	uint64_t offset;
	uint32_t max;
};

static struct place place_of(struct journal *j, int table, uint32_t index)
{
	const uint32_t max = tables[table].max;

	assert(index < tables[table].n_records);
	return (struct place){ &j->common, table_offset(table) + (uint64_t)index * cells_size(max),
			       max };
}

static struct place place_of_slot(struct journal *j, uint32_t domain, uint32_t slot)
{
	const bool is_small = slot < memory_n_small(j->n_slots);

	assert(domain < JOURNAL_DOMAINS_MAX && slot < j->n_slots);
	return (struct place){ &j->domains[domain], slot_offset(j->n_slots, slot),
			       slot_max(is_small ? ONEBEAT_CLASS_SMALL : ONEBEAT_CLASS_LARGE) };
}

static int put(const struct place *p, const void *data, uint32_t length)
{
	int r = sparse_reserve(p->part, p->offset, cells_size(p->max));

	if (r == 0)
		cells_put(p->part->base + p->offset, p->max, data, length);
	return r;
}

/* A record that was put is read in place; the copy is for one that lies partly in pages which are not there. */
static bool get(const struct place *p, void *data, uint32_t *length)
{
	const uint32_t size = cells_size(p->max);
	uint32_t record[RECORD_MAX / 4];
	const uint8_t *at;

	if (!p->part->base)
		return false;
	at = sparse_at(p->part, p->offset, size);
	if (at)
		return cells_get(at, p->max, data, length);
	return sparse_read(p->part, p->offset, size, record) &&
	       cells_get(record, p->max, data, length);
}

static void drop(const struct place *p)
{
	const uint32_t size = cells_size(p->max);
	uint32_t record[RECORD_MAX / 4];

	/* A record that was put has all its pages: reserving cannot fail for it. */
	if (p->part->base && sparse_read(p->part, p->offset, size, record) &&
	    sparse_reserve(p->part, p->offset, size) == 0)
		cells_drop(p->part->base + p->offset, p->max);
}

static int put_in(struct journal *j, int table, uint32_t index, const void *rec)
{
	const struct place p = place_of(j, table, index);

	return put(&p, rec, p.max);
}

static bool get_in(struct journal *j, int table, uint32_t index, void *rec)
{
	const struct place p = place_of(j, table, index);
	uint32_t length;

	return get(&p, rec, &length) && length == p.max;
}

static void drop_in(struct journal *j, int table, uint32_t index)
{
	const struct place p = place_of(j, table, index);

	drop(&p);
}

void journal_put_domain(struct journal *j, uint32_t domain, const struct journal_domain *rec)
{
	struct journal_domain before;

	/* What a drop that was cut short may have left of an earlier domain. */
	if (!journal_get_domain(j, domain, &before) && j->domains[domain].base)
		sparse_clear(&j->domains[domain]);
	ONEBEAT_CRASH_TABLE("agent.journal.put", "domain");
	(void)put_in(j, DOMAINS, domain, rec); /* reserved since journal_open() */
}

bool journal_get_domain(struct journal *j, uint32_t domain, struct journal_domain *rec)
{
	return get_in(j, DOMAINS, domain, rec);
}

void journal_drop_domain(struct journal *j, uint32_t domain)
{
	ONEBEAT_CRASH_TABLE("agent.journal.drop", "domain");
	drop_in(j, DOMAINS, domain);
	if (j->domains[domain].base)
		sparse_clear(&j->domains[domain]);
}

int journal_put_lease(struct journal *j, uint32_t lease, const struct journal_lease *rec)
{
	ONEBEAT_CRASH_TABLE("agent.journal.put", "lease");
	return put_in(j, LEASES, lease, rec);
}

bool journal_get_lease(struct journal *j, uint32_t lease, struct journal_lease *rec)
{
	return get_in(j, LEASES, lease, rec);
}

void journal_drop_lease(struct journal *j, uint32_t lease)
{
	ONEBEAT_CRASH_TABLE("agent.journal.drop", "lease");
	drop_in(j, LEASES, lease);
}

int journal_put_instance(struct journal *j, uint32_t instance, const struct journal_instance *rec)
{
	ONEBEAT_CRASH_TABLE("agent.journal.put", "instance");
	return put_in(j, INSTANCES, instance, rec);
}

bool journal_get_instance(struct journal *j, uint32_t instance, struct journal_instance *rec)
{
	return get_in(j, INSTANCES, instance, rec);
}

int journal_put_progress(struct journal *j, uint32_t instance, const struct journal_progress *rec)
{
	ONEBEAT_CRASH_TABLE("agent.journal.put", "progress");
	return put_in(j, PROGRESS, instance, rec);
}

bool journal_get_progress(struct journal *j, uint32_t instance, struct journal_progress *rec)
{
	return get_in(j, PROGRESS, instance, rec);
}

void journal_drop_instance(struct journal *j, uint32_t instance)
{
	ONEBEAT_CRASH_TABLE("agent.journal.drop", "instance");
	drop_in(j, INSTANCES, instance);
	ONEBEAT_CRASH_TABLE("agent.journal.drop", "progress");
	drop_in(j, PROGRESS, instance);
	if (sparse_at(&j->common, due_offset(instance), sizeof(uint32_t)))
		journal_put_due(j, instance, CLOCK_NEVER);
}

static _Atomic uint32_t *due_word(struct journal *j, uint32_t instance)
{
	assert(instance < JOURNAL_INSTANCES_MAX);
	return (_Atomic uint32_t *)(void *)(j->common.base + due_offset(instance));
}

void journal_put_due(struct journal *j, uint32_t instance, uint64_t due_ms)
{
	uint32_t word = due_ms == CLOCK_NEVER ? 0 : (uint32_t)due_ms ? (uint32_t)due_ms : 1;

	if (sparse_reserve(&j->common, due_offset(instance), sizeof(word)) == 0)
		atomic_store_explicit(due_word(j, instance), word, memory_order_relaxed);
}

uint64_t journal_get_due(struct journal *j, uint32_t instance, uint64_t now_ms)
{
	uint32_t word = 0;

	if (sparse_at(&j->common, due_offset(instance), sizeof(word)))
		word = atomic_load_explicit(due_word(j, instance), memory_order_relaxed);
	return word == 0 ? CLOCK_NEVER : now_ms + (uint64_t)(int32_t)(word - (uint32_t)now_ms);
}

static int need_domain(struct journal *j, uint32_t domain)
{
	struct sparse *part = &j->domains[domain];

	return part->base ? 0 : sparse_map(part, j->fd, domain_start(j, domain), j->domain_size);
}

int journal_put_slot(struct journal *j, uint32_t domain, uint32_t slot,
		     const struct journal_slot *rec)
{
	const struct place p = place_of_slot(j, domain, slot);
	int r = need_domain(j, domain);

	assert(rec->length <= p.max - SLOT_HEAD);
	ONEBEAT_CRASH_TABLE("agent.journal.put", "slot");
	return r < 0 ? r : put(&p, rec, SLOT_HEAD + ONEBEAT_PAD4(rec->length));
}

bool journal_get_slot(struct journal *j, uint32_t domain, uint32_t slot, struct journal_slot *rec)
{
	const struct place p = place_of_slot(j, domain, slot);
	uint32_t length;

	return get(&p, rec, &length) && length >= SLOT_HEAD && rec->length <= p.max - SLOT_HEAD &&
	       length == SLOT_HEAD + ONEBEAT_PAD4(rec->length);
}

void journal_drop_slot(struct journal *j, uint32_t domain, uint32_t slot)
{
	const struct place p = place_of_slot(j, domain, slot);

	ONEBEAT_CRASH_TABLE("agent.journal.drop", "slot");
	drop(&p);
}

void journal_mark_adopting(struct journal *j, uint32_t domain, uint32_t slot)
{
	const struct adopting mark = { domain, slot };

	ONEBEAT_CRASH_TABLE("agent.journal.put", "adopting");
	(void)put_in(j, ADOPTING, 0, &mark); /* reserved since journal_open() */
}

void journal_adopting(struct journal *j, uint32_t *domain, uint32_t *slot)
{
	struct adopting mark = { 0, ONEBEAT_NO_SLOT };

	(void)get_in(j, ADOPTING, 0, &mark);
	*domain = mark.domain;
	*slot = mark.slot;
}

/* The agent goes on: what is lost is only a successor's knowledge. */
void journal_failed(int r, const char *what)
{
	if (r < 0)
		log_error("journal.put",
			  "record=%s error=%s next=\"a restarted agent will not know it\"", what,
			  LOG_Q(strerror(-r)));
}
