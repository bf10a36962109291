/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_RECORD_H
#define HTTP_BEAT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "http/refusal.h"
#include "http/nodes.h"

/* A submitted beat. It is in one place at a time: a queue, or a slot's requests in flight. */
struct beat_record {
	struct beat_record *next;
	const char *request; /* the caller's */
	void *tag;
	uint32_t n_request; /* of it, up to the body */
	uint32_t n_body;    /* 0: there is none */
	uint32_t serial;
	uint64_t due_ms;         /* it gives up: waiting for its first connection, then in all */
	uint64_t attempt_due_ms; /* the attempt in flight does */
	struct http_round round;
	struct http_way way;
	uint32_t node;           /* the one asked, or to be asked */
	bool full_attempt;       /* the attempt in flight has the time that a node may take */
	bool lost;               /* it was written to a node that did not answer */
	struct refusal *refusal; /* an earlier node's 5xx; NULL: none */
};

struct beat_record_queue {
	struct beat_record *first;
	struct beat_record *last;
	uint32_t n;
};

void beat_record_push(struct beat_record_queue *queue, struct beat_record *beat);
/* NULL when it is empty. */
struct beat_record *beat_record_pop(struct beat_record_queue *queue);
/* Moves all of from to the end of queue. */
void beat_record_move(struct beat_record_queue *queue, struct beat_record_queue *from);

struct beat_record_slab;

/* Where the records come from; they are used again and never given back before the end. */
struct beat_record_pool {
	struct beat_record_slab *slabs;
	struct beat_record *free;
};

/* A record of zeros; NULL when memory is out. */
struct beat_record *beat_record_new(struct beat_record_pool *pool);
/* With its refusal. */
void beat_record_recycle(struct beat_record_pool *pool, struct beat_record *beat);
/* Frees every record, also those that were not recycled. */
void beat_record_pool_deinit(struct beat_record_pool *pool);

#endif
