/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of numbered things
 *
 * Leases and instances are named by a small number in the journal and in events, because a pointer means
 * nothing to a successor. Numbers are reused, the lowest table size first.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "segment/state.h"

static int reserve(struct numbered *t, uint32_t n)
{
	void **items;
	uint32_t *free_numbers;

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
	if (!items || !free_numbers)
		return -ENOMEM;
	for (uint32_t i = n; i-- > t->n_items;) {
		t->items[i] = NULL;
		t->free[t->n_free++] = i;
	}
	t->n_items = n;
	return 0;
}

int numbered_add(struct numbered *t, void *item, uint32_t *number)
{
	int r = 0;

	if (t->n_free == 0)
		r = reserve(t, t->n_items + 1);
	if (r < 0)
		return r;
	*number = t->free[--t->n_free];
	assert(!t->items[*number]);
	t->items[*number] = item;
	t->n_used++;
	return 0;
}

/* Adoption: the number is given. Linear in the free list, and only then. */
int numbered_add_at(struct numbered *t, void *item, uint32_t number)
{
	int r = reserve(t, number + 1);

	if (r < 0)
		return r;
	if (t->items[number])
		return -EEXIST;
	for (uint32_t i = t->n_free; i-- > 0;) {
		if (t->free[i] == number) {
			t->free[i] = t->free[--t->n_free];
			t->items[number] = item;
			t->n_used++;
			return 0;
		}
	}
	return -EEXIST;
}

void numbered_remove(struct numbered *t, uint32_t number)
{
	assert(number < t->n_items && t->items[number]);
	t->items[number] = NULL;
	t->free[t->n_free++] = number;
	t->n_used--;
}

void numbered_deinit(struct numbered *t)
{
	free(t->items);
	free(t->free);
	*t = (struct numbered){ 0 };
}
