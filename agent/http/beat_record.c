/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of submitted beats
 *
 * Every instance has one every few seconds, so they come from slabs by way of a free list, and the
 * steady state allocates nothing. The lane's peak decides how many there are.
 */
#include "http/beat_record.h"

#include <stdlib.h>

#define SLAB_RECORDS 64u

struct beat_record_slab {
	struct beat_record_slab *next;
	struct beat_record records[SLAB_RECORDS];
};

void beat_record_push(struct beat_record_queue *queue, struct beat_record *beat)
{
	beat->next = NULL;
	if (queue->last)
		queue->last->next = beat;
	else
		queue->first = beat;
	queue->last = beat;
	queue->n++;
}

struct beat_record *beat_record_pop(struct beat_record_queue *queue)
{
	struct beat_record *beat = queue->first;

	if (!beat)
		return NULL;
	queue->first = beat->next;
	if (!queue->first)
		queue->last = NULL;
	queue->n--;
	beat->next = NULL;
	return beat;
}

void beat_record_move(struct beat_record_queue *queue, struct beat_record_queue *from)
{
	if (!from->first)
		return;
	if (queue->last)
		queue->last->next = from->first;
	else
		queue->first = from->first;
	queue->last = from->last;
	queue->n += from->n;
	*from = (struct beat_record_queue){ 0 };
}

static bool add_slab(struct beat_record_pool *pool)
{
	struct beat_record_slab *slab = calloc(1, sizeof(*slab));

	if (!slab)
		return false;
	slab->next = pool->slabs;
	pool->slabs = slab;
	for (uint32_t i = 0; i < SLAB_RECORDS; i++) {
		slab->records[i].next = pool->free;
		pool->free = &slab->records[i];
	}
	return true;
}

struct beat_record *beat_record_new(struct beat_record_pool *pool)
{
	struct beat_record *beat;

	if (!pool->free && !add_slab(pool))
		return NULL;
	beat = pool->free;
	pool->free = beat->next;
	*beat = (struct beat_record){ 0 };
	return beat;
}

void beat_record_recycle(struct beat_record_pool *pool, struct beat_record *beat)
{
	beat->refusal = refusal_free(beat->refusal);
	beat->next = pool->free;
	pool->free = beat;
}

void beat_record_pool_deinit(struct beat_record_pool *pool)
{
	while (pool->slabs) {
		struct beat_record_slab *slab = pool->slabs;

		pool->slabs = slab->next;
		for (uint32_t i = 0; i < SLAB_RECORDS; i++)
			refusal_free(slab->records[i].refusal);
		free(slab);
	}
	pool->free = NULL;
}
