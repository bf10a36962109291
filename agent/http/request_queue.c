/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait for a handle
 *
 * A DELETE goes first: what it ends is offered to clients as long as it waits, while a POST that
 * comes a moment later costs nobody anything.
 */
#include "http/request_queue.h"

#include <stdlib.h>
#include <string.h>

struct request *request_queue_new(enum http_method method, const char *target, void *tag,
				  uint32_t serial)
{
	size_t n = strlen(target) + 1;
	struct request *request = malloc(sizeof(*request) + n);

	if (!request)
		return NULL;
	*request = (struct request){ .method = method, .tag = tag, .serial = serial };
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
	STAILQ_INIT(&queue->deletes);
	STAILQ_INIT(&queue->others);
}

void request_queue_deinit(struct request_queue *queue)
{
	struct request *request;

	while ((request = request_queue_pop(queue)) != NULL)
		request_queue_free(request);
}

bool request_queue_empty(const struct request_queue *queue)
{
	return STAILQ_EMPTY(&queue->deletes) && STAILQ_EMPTY(&queue->others);
}

void request_queue_push(struct request_queue *queue, struct request *request)
{
	STAILQ_INSERT_TAIL(request->method == HTTP_DELETE ? &queue->deletes : &queue->others,
			   request, entry);
}

struct request *request_queue_pop(struct request_queue *queue)
{
	struct request_list *list = STAILQ_EMPTY(&queue->deletes) ? &queue->others
								  : &queue->deletes;
	struct request *request = STAILQ_FIRST(list);

	if (request)
		STAILQ_REMOVE_HEAD(list, entry);
	return request;
}

void request_queue_move(struct request_queue *queue, struct request_queue *from)
{
	STAILQ_CONCAT(&queue->deletes, &from->deletes);
	STAILQ_CONCAT(&queue->others, &from->others);
}
