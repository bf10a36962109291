/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keeper holds
 *
 * A duplicate of every lease and of every memfd, so that neither goes when the agent does. The name
 * is the agent's (a lease's SO_COOKIE, a domain's uid); nothing is known here of what a descriptor
 * is. A host may have tens of thousands of processes, each of them a put and a drop, so this is a
 * hash table: open addressing with linear probing, at most three quarters full, and a removal moves
 * later entries up instead of leaving marks, so that it never gets slower with age.
 *
 * The table owns its descriptors. One thread.
 */
#include "keeper/holdings.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define PLACES_MIN 64u

void holdings_deinit(struct holdings *h)
{
	for (uint32_t i = 0; i < h->n_places; i++) {
		if (h->entries[i].kind != CHANNEL_NONE)
			close(h->entries[i].fd);
	}
	free(h->entries);
	*h = (struct holdings)HOLDINGS_NULL;
}

/*
 * Where an entry of that name is looked for first (the finaliser of MurmurHash3 spreads cookies and
 * uids).
 */
static uint32_t home_of(const struct holdings *h, uint32_t kind, uint64_t id)
{
	uint64_t x = id ^ (uint64_t)kind << 56;

	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (uint32_t)(x ^ x >> 33) & (h->n_places - 1);
}

/* Its place, or the free one where it would go. There is always a free one. */
static struct manifest_entry *place_of(const struct holdings *h, uint32_t kind, uint64_t id)
{
	uint32_t i = home_of(h, kind, id);

	while (h->entries[i].kind != CHANNEL_NONE &&
	       (h->entries[i].kind != kind || h->entries[i].id != id))
		i = (i + 1) & (h->n_places - 1);
	return &h->entries[i];
}

static int grow(struct holdings *h)
{
	struct holdings bigger = { .n_places = h->n_places ? h->n_places * 2 : PLACES_MIN,
				   .n_held = h->n_held };

	bigger.entries = calloc(bigger.n_places, sizeof(*bigger.entries));
	if (!bigger.entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < h->n_places; i++) {
		const struct manifest_entry *e = &h->entries[i];

		if (e->kind != CHANNEL_NONE)
			*place_of(&bigger, e->kind, e->id) = *e;
	}
	free(h->entries);
	*h = bigger;
	return 0;
}

int holdings_put(struct holdings *h, enum channel_kind kind, uint64_t id, int fd)
{
	struct manifest_entry *e;
	int r;

	assert(kind != CHANNEL_NONE && fd >= 0);
	if ((h->n_held + 1) * 4 > h->n_places * 3) {
		r = grow(h);
		if (r < 0)
			return r;
	}
	e = place_of(h, kind, id);
	if (e->kind != CHANNEL_NONE)
		close(e->fd);
	else
		h->n_held++;
	*e = (struct manifest_entry){ .kind = kind, .id = id, .fd = fd };
	return 0;
}

/* Moves up what had to probe past the place that has become free. */
static void close_gap(struct holdings *h, uint32_t gap)
{
	const uint32_t mask = h->n_places - 1;

	for (uint32_t i = (gap + 1) & mask; h->entries[i].kind != CHANNEL_NONE;
	     i = (i + 1) & mask) {
		uint32_t home = home_of(h, h->entries[i].kind, h->entries[i].id);

		/* It may move to the gap if that lies between its home and where it is. */
		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		h->entries[gap] = h->entries[i];
		gap = i;
	}
	h->entries[gap] = (struct manifest_entry){ .kind = CHANNEL_NONE };
}

/* The descriptor, which is the caller's now; -1 when there is none. */
static int take_out(struct holdings *h, enum channel_kind kind, uint64_t id)
{
	struct manifest_entry *e;
	int fd;

	if (h->n_held == 0)
		return -1;
	e = place_of(h, kind, id);
	if (e->kind == CHANNEL_NONE)
		return -1;
	fd = e->fd;
	h->n_held--;
	close_gap(h, (uint32_t)(e - h->entries));
	return fd;
}

bool holdings_drop(struct holdings *h, enum channel_kind kind, uint64_t id)
{
	int fd = take_out(h, kind, id);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void holdings_rename(struct holdings *h, enum channel_kind kind, uint64_t from, uint64_t to)
{
	int fd = take_out(h, kind, from);

	/* There is room: one has just gone. */
	if (fd >= 0 && holdings_put(h, kind, to, fd) < 0)
		close(fd);
}

bool holdings_has(const struct holdings *h, enum channel_kind kind, uint64_t id)
{
	return h->n_held > 0 && place_of(h, kind, id)->kind != CHANNEL_NONE;
}

void holdings_list(const struct holdings *h, struct manifest_entry *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->n_places; i++) {
		if (h->entries[i].kind != CHANNEL_NONE)
			out[n++] = h->entries[i];
	}
	assert(n == h->n_held);
}
