/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_REQUEST_QUEUE_H
#define HTTP_REQUEST_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "http/nodes.h"
#include "http/refusal.h"
#include "http/request_lane.h"

/* A submitted request. It is in one place at a time: a queue, or a handle. */
struct request {
	STAILQ_ENTRY(request) entry;
	enum http_method method;
	uint32_t owner;
	void *tag;
	uint32_t serial;
	struct http_round round;
	uint32_t node;           /* asked last, or to be asked */
	bool lost;               /* it was written to a node that did not answer */
	struct refusal *refusal; /* the last 5xx; NULL: none */
	char target[];
};

STAILQ_HEAD(request_list, request);

#define REQUEST_OWNERS 64u /* more share one's turn */

struct request_share {
	struct request_list deletes;
	struct request_list others;
};

/* One request of each owner in turn; of one owner DELETE before everything else, otherwise first in, first out. */
struct request_queue {
	struct request_share shares[REQUEST_OWNERS];
	uint32_t n;
	uint32_t next; /* whose turn it is */
};

/* Copies target. NULL when memory is out. */
struct request *request_queue_new(enum http_method method, const char *target, uint32_t owner,
				  void *tag, uint32_t serial);
/* Frees one request, which is in no queue. */
void request_queue_free(struct request *request);

void request_queue_init(struct request_queue *queue);
/* Frees what it holds. */
void request_queue_deinit(struct request_queue *queue);
bool request_queue_empty(const struct request_queue *queue);
void request_queue_push(struct request_queue *queue, struct request *request);
/* NULL when it is empty. */
struct request *request_queue_pop(struct request_queue *queue);
/* Moves all of from to the end of queue. */
void request_queue_move(struct request_queue *queue, struct request_queue *from);

#endif
