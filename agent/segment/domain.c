/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust domains and their slots
 *
 * A domain is one uid's segment together with what only the agent knows of it: which slot is whose, in which
 * generation, and what was accepted last. A slot is handed out again only by domain_release(), whose callers
 * hold proof that nobody can write it any more (the process is dead), or by domain_regrant() to the very
 * lease that had it: a process can then hurt only itself. Freed slots are reused before untouched ones, so
 * that the segment stays as small as its use.
 *
 * Watcher thread only.
 */
#include "segment/domain.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static uint32_t class_end(const struct domain *d, enum onebeat_class class)
{
	return class == ONEBEAT_CLASS_SMALL ? d->memory.n_small : memory_n_slots(&d->memory);
}

static int prepare(struct domain *d)
{
	uint32_t n = memory_n_slots(&d->memory);

	d->slots = calloc(n, sizeof(*d->slots));
	d->last = calloc(n, sizeof(*d->last));
	d->free[ONEBEAT_CLASS_SMALL] = ONEBEAT_NO_SLOT;
	d->free[ONEBEAT_CLASS_LARGE] = ONEBEAT_NO_SLOT;
	d->untouched[ONEBEAT_CLASS_SMALL] = 0;
	d->untouched[ONEBEAT_CLASS_LARGE] = d->memory.n_small;
	return d->slots && d->last ? backlog_init(&d->backlog, n) : -ENOMEM;
}

static struct domain *domain_alloc(uint32_t index, uid_t uid)
{
	struct domain *d = calloc(1, sizeof(*d));

	if (d) {
		d->memory = (struct memory)MEMORY_NULL;
		d->index = index;
		d->uid = uid;
	}
	return d;
}

static int finish(struct domain **out, struct domain *d, int r)
{
	if (r == 0)
		r = prepare(d);
	*out = r == 0 ? d : domain_free(d);
	return r;
}

int domain_new(struct domain **out, uint32_t index, uid_t uid, uint32_t n_slots)
{
	struct domain *d = domain_alloc(index, uid);

	*out = NULL;
	return d ? finish(out, d, memory_create(&d->memory, n_slots)) : -ENOMEM;
}

int domain_adopt(struct domain **out, uint32_t index, uid_t uid, uint32_t n_slots,
		 const uint8_t uuid[16], int data_fd, int status_fd)
{
	struct domain *d = domain_alloc(index, uid);

	*out = NULL;
	return d ? finish(out, d, memory_adopt(&d->memory, data_fd, status_fd, n_slots, uuid))
		 : -ENOMEM;
}

struct domain *domain_free(struct domain *d)
{
	if (!d)
		return NULL;
	for (uint32_t i = 0; d->slots && i < d->n_high; i++) {
		descriptor_unref(d->slots[i].descriptor);
		free(d->slots[i].why);
	}
	backlog_deinit(&d->backlog);
	free(d->slots);
	free(d->last);
	memory_deinit(&d->memory);
	free(d);
	return NULL;
}

static void note_high(struct domain *d, uint32_t index)
{
	if (index >= d->n_high)
		d->n_high = index + 1;
}

static struct slot *pick(struct domain *d, enum onebeat_class class)
{
	uint32_t index = d->free[class];

	if (index != ONEBEAT_NO_SLOT) {
		d->free[class] = d->slots[index].next_free;
		return &d->slots[index];
	}
	while (d->untouched[class] < class_end(d, class)) {
		index = d->untouched[class]++;
		/* Adoption may have taken it out of order. */
		if (d->slots[index].state == SLOT_FREE && d->slots[index].generation == 0)
			return &d->slots[index];
	}
	return NULL;
}

static void put_back(struct domain *d, struct slot *slot)
{
	enum onebeat_class class = memory_class(&d->memory, slot->index);

	slot->next_free = d->free[class];
	d->free[class] = slot->index;
}

static int open_slot(struct domain *d, struct slot *slot)
{
	int r = memory_slot_open(&d->memory, slot->index, slot->generation + 1);

	if (r < 0)
		return r;
	slot->generation++;
	slot->state = SLOT_GRANTED;
	slot->version = 0;
	slot->cookie = 0;
	slot->refused = false;
	slot->stalled = false;
	d->last[slot->index] = 0;
	return 0;
}

struct slot *domain_grant(struct domain *d, enum onebeat_class class)
{
	struct slot *slot = pick(d, class);
	int r;

	if (!slot) {
		errno = ENOSPC;
		return NULL;
	}
	slot->domain = d;
	slot->index = (uint32_t)(slot - d->slots);
	note_high(d, slot->index);
	r = open_slot(d, slot);
	if (r < 0) {
		put_back(d, slot);
		errno = -r;
		return NULL;
	}
	d->n_used++;
	return slot;
}

int domain_regrant(struct slot *slot)
{
	assert(slot->state == SLOT_SPARE);
	memory_slot_close(&slot->domain->memory, slot->index);
	return open_slot(slot->domain, slot);
}

int domain_take(struct domain *d, uint32_t index, enum slot_state state, uint32_t generation)
{
	struct slot *slot = &d->slots[index];
	int r = state == SLOT_LOST ? 0 : memory_slot_adopt(&d->memory, index);

	assert(slot->state == SLOT_FREE && state != SLOT_FREE);
	if (r < 0)
		return r;
	slot->domain = d;
	slot->index = index;
	slot->state = (uint8_t)state;
	slot->generation = generation ? generation : 1;
	note_high(d, index);
	d->n_used++;
	return 0;
}

void domain_release(struct slot *slot)
{
	struct domain *d = slot->domain;

	assert(slot->state != SLOT_FREE && !slot->lease && !slot->instance);
	if (slot->state != SLOT_LOST)
		memory_slot_close(&d->memory, slot->index);
	slot->descriptor = descriptor_unref(slot->descriptor);
	free(slot->why);
	slot->why = NULL;
	slot->lingers = false;
	slot->refused = false;
	slot->spoilt = false;
	slot->state = SLOT_FREE;
	d->n_used--;
	put_back(d, slot);
}

struct onebeat_status_line *slot_line(const struct slot *slot)
{
	return memory_line(&slot->domain->memory, slot->index);
}

void domain_report_lost(struct domain *d)
{
	uint32_t n_lost = memory_n_lost(&d->memory);

	if (n_lost == d->n_lost)
		return;
	log_error("segment.lost",
		  "uid=%u pages=%u next=\"its instances stay as they are, and it grants no slot\"",
		  d->uid, n_lost);
	d->n_lost = n_lost;
}
