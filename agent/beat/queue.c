/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-over queue between watcher and sender
 *
 * What is queued is not a message but the fact that an instance has news, so an instance is queued
 * at most once each way, no memory is needed, and a queue cannot overflow. The news itself is in
 * the beat's fields, and the newest is what counts.
 *
 * No news is lost:
 *   producer: writes the news; queued = exchange(1); if it was 0, enqueues
 *   consumer: dequeues; queued = exchange(0); reads the news
 * Both exchanges modify one word, so one comes first. If the consumer's does, the producer sees 0
 * and enqueues again. If the producer's does, the consumer's exchange reads the 1 that it wrote, or
 * a later one, and with it acquires the news written before. A plain store of 0 would not do: it
 * reads nothing, so the consumer's reads could pass it and find the old news. The flag orders the
 * reuse of the queue node as well: the consumer is done with it before it writes the 0 that lets a
 * producer have it.
 *
 * No wake-up is lost either. Enqueueing tells whether the queue was empty, and only then is the
 * eventfd written. The consumer reads the eventfd first and pops until the queue is empty; whoever
 * enqueues after that finds it empty, and rings.
 *
 * When may the watcher free a beat? The sender's last word is a push with last set, after which it
 * touches the beat no more: if the beat was queued already, the exchange was its last touch; if
 * not, the enqueueing was, and the watcher has it only after that. But the watcher may have given
 * the beat to the sender again meanwhile. So each side counts: the watcher how often it has
 * enqueued the beat, the sender how often it has popped it, and the last word carries the sender's
 * count. Equal, and nothing of the beat is on the way to the sender or in its hands. The count
 * travels in the flag itself: in a field of its own it could be that of the sender's next last
 * word, not yet pushed.
 *
 * A producer that is preempted halfway through its enqueue hides what is behind it. liburcu's
 * blocking dequeue would sleep for 10 ms then; here the consumer takes the queue for empty and
 * rings itself, so that it looks after its other work first and comes back.
 */
#include "beat/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "beat/container.h"

/* The queued flags: 0, or the lowest bit, for the watcher with what the last word adds. */
#define QUEUED 1u
#define LAST 2u
#define LAST_SHIFT 2 /* above it: the sender's count */

int beat_queue_init(struct beat_queue *q)
{
	q->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->event_fd < 0)
		return -errno;
	cds_wfcq_init(&q->head, &q->tail);
	return 0;
}

void beat_queue_deinit(struct beat_queue *q)
{
	if (q->event_fd < 0)
		return;
	close(q->event_fd);
	q->event_fd = -1;
	cds_wfcq_destroy(&q->head, &q->tail);
}

static void ring(struct beat_queue *q)
{
	ssize_t n = write(q->event_fd, &(uint64_t){ 1 }, sizeof(uint64_t));

	assert(n == sizeof(uint64_t) || errno == EAGAIN); /* full is readable, too */
}

/* True when it was not queued. */
static bool push(struct beat_queue *q, _Atomic uint32_t *queued, uint32_t flag,
		 struct cds_wfcq_node *node)
{
	if (atomic_exchange(queued, flag) != 0)
		return false;
	cds_wfcq_node_init(node);
	if (!cds_wfcq_enqueue(&q->head, &q->tail, node))
		ring(q);
	return true;
}

static struct cds_wfcq_node *pop(struct beat_queue *q)
{
	struct cds_wfcq_node *node = __cds_wfcq_dequeue_nonblocking(&q->head, &q->tail);

	if (node != CDS_WFCQ_WOULDBLOCK)
		return node;
	ring(q);
	return NULL;
}

void beat_push_to_sender(struct beat_queue *q, struct beat *beat)
{
	if (push(q, &beat->queued_to_sender, QUEUED, &beat->to_sender))
		beat->n_given++;
}

void beat_push_to_watcher(struct beat_queue *q, struct beat *beat, bool last)
{
	uint32_t flag = last ? QUEUED | LAST | beat->n_taken << LAST_SHIFT : QUEUED;

	push(q, &beat->queued_to_watcher, flag, &beat->to_watcher);
}

struct beat *beat_pop_to_sender(struct beat_queue *q)
{
	struct cds_wfcq_node *node = pop(q);
	struct beat *beat;

	if (!node)
		return NULL;
	beat = container_of(node, struct beat, to_sender);
	atomic_exchange(&beat->queued_to_sender, 0);
	beat->n_taken++;
	return beat;
}

struct beat *beat_pop_to_watcher(struct beat_queue *q, bool *returned)
{
	struct cds_wfcq_node *node = pop(q);
	struct beat *beat;
	uint32_t flag;

	if (!node)
		return NULL;
	beat = container_of(node, struct beat, to_watcher);
	flag = atomic_exchange(&beat->queued_to_watcher, 0);
	*returned = flag == (QUEUED | LAST | beat->n_given << LAST_SHIFT);
	return beat;
}

void beat_queue_drain_event(struct beat_queue *q)
{
	uint64_t n_rings;
	ssize_t n = read(q->event_fd, &n_rings, sizeof(n_rings));

	assert(n == sizeof(n_rings) || errno == EAGAIN);
}
