/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of numbered things
 *
 * Leases and instances are named by a small number in the journal and in events, because a pointer means
 * nothing to a successor. Numbers are reused, the lowest table size first.
 *
 * Adoption asks for given numbers, in no order, so each free number knows its place in the free list: a search
 * there made fifty thousand instances cost a quarter of a second.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "segment/state.h"

static void put_free(struct numbered *t, uint32_t number)
{
	t->places[number] = t->n_free;
	t->free[t->n_free++] = number;
}

static int reserve(struct numbered *t, uint32_t n)
{
	void **items;
	uint32_t *free_numbers, *places;

	if (n <= t->n_items)
		return 0;
	if (n > t->max)
		return -ENOSPC;
	n = n < 2 * t->n_items ? 2 * t->n_items : n;
	n = n < 64 ? 64 : n;
	n = n > t->max ? t->max : n;
	items = reallocarray(t->items, n, sizeof(*items));
	if (items)
		t->items = items;
	free_numbers = reallocarray(t->free, n, sizeof(*free_numbers));
	if (free_numbers)
		t->free = free_numbers;
	places = reallocarray(t->places, n, sizeof(*places));
	if (places)
		t->places = places;
	if (!items || !free_numbers || !places)
		return -ENOMEM;
	for (uint32_t i = n; i-- > t->n_items;) {
		t->items[i] = NULL;
		put_free(t, i);
	}
	t->n_items = n;
	return 0;
}

/* Takes a free number out of the list; the last one there fills its place. */
static void take(struct numbered *t, uint32_t number, void *item)
{
	uint32_t last = t->free[--t->n_free];

	assert(!t->items[number] && t->free[t->places[number]] == number);
	t->free[t->places[number]] = last;
	t->places[last] = t->places[number];
	t->items[number] = item;
	t->n_used++;
}

int numbered_add(struct numbered *t, void *item, uint32_t *number)
{
	int r = 0;

	if (t->n_free == 0)
		r = reserve(t, t->n_items + 1);
	if (r < 0)
		return r;
	*number = t->free[t->n_free - 1];
	take(t, *number, item);
	return 0;
}

/* Adoption: the number is given. Another record may claim it too. */
int numbered_add_at(struct numbered *t, void *item, uint32_t number)
{
	int r = number < t->max ? reserve(t, number + 1) : -ENOSPC;

	if (r < 0)
		return r;
	if (t->items[number])
		return -EEXIST;
	take(t, number, item);
	return 0;
}

void numbered_remove(struct numbered *t, uint32_t number)
{
	assert(number < t->n_items && t->items[number]);
	t->items[number] = NULL;
	put_free(t, number);
	t->n_used--;
}

void numbered_deinit(struct numbered *t)
{
	free(t->items);
	free(t->free);
	free(t->places);
	*t = (struct numbered){ 0 };
}
