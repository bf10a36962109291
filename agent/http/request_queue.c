/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait for a handle
 *
 * Owners take turns, one request each, so that thousands of requests of one user delay another's by
 * one. Of one owner, a DELETE goes first: what it ends is offered to clients as long as it waits,
 * while a POST that comes a moment later costs nobody anything.
 */
#include "http/request_queue.h"

#include <stdlib.h>
#include <string.h>

struct request *request_queue_new(enum http_method method, const char *target, uint32_t owner,
				  void *tag, uint32_t serial)
{
	size_t n = strlen(target) + 1;
	struct request *request = malloc(sizeof(*request) + n);

	if (!request)
		return NULL;
	*request = (struct request){
		.method = method, .owner = owner, .tag = tag, .serial = serial
	};
	memcpy(request->target, target, n);
	return request;
}

void request_queue_free(struct request *request)
{
	if (request)
		refusal_free(request->refusal);
	free(request);
}

void request_queue_init(struct request_queue *queue)
{
	*queue = (struct request_queue){ .n = 0 };
	for (uint32_t i = 0; i < REQUEST_OWNERS; i++) {
		STAILQ_INIT(&queue->shares[i].deletes);
		STAILQ_INIT(&queue->shares[i].others);
	}
}

void request_queue_deinit(struct request_queue *queue)
{
	struct request *request;

	while ((request = request_queue_pop(queue)) != NULL)
		request_queue_free(request);
}

bool request_queue_empty(const struct request_queue *queue)
{
	return queue->n == 0;
}

void request_queue_push(struct request_queue *queue, struct request *request)
{
	struct request_share *share = &queue->shares[request->owner % REQUEST_OWNERS];

	STAILQ_INSERT_TAIL(request->method == HTTP_DELETE ? &share->deletes : &share->others,
			   request, entry);
	queue->n++;
}

static struct request *pop_share(struct request_share *share)
{
	struct request_list *list = STAILQ_EMPTY(&share->deletes) ? &share->others
								  : &share->deletes;
	struct request *request = STAILQ_FIRST(list);

	if (request)
		STAILQ_REMOVE_HEAD(list, entry);
	return request;
}

struct request *request_queue_pop(struct request_queue *queue)
{
	struct request *request = NULL;

	if (queue->n == 0)
		return NULL;
	while (!request) {
		request = pop_share(&queue->shares[queue->next]);
		queue->next = (queue->next + 1) % REQUEST_OWNERS;
	}
	queue->n--;
	return request;
}

void request_queue_move(struct request_queue *queue, struct request_queue *from)
{
	for (uint32_t i = 0; i < REQUEST_OWNERS; i++) {
		STAILQ_CONCAT(&queue->shares[i].deletes, &from->shares[i].deletes);
		STAILQ_CONCAT(&queue->shares[i].others, &from->shares[i].others);
	}
	queue->n += from->n;
	from->n = 0;
}
