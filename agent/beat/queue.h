/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_QUEUE_H
#define BEAT_QUEUE_H

#include <stdbool.h>

#include <urcu/wfcqueue.h>

#include "beat/beat.h"

/*
 * The hand-over queue, one each way, with an eventfd that wakes the other side. Pushing an instance
 * that is queued already does nothing: what the other side reads is the newest anyway.
 */
struct beat_queue {
	struct cds_wfcq_head head;
	struct cds_wfcq_tail tail;
	int event_fd;
};

#define BEAT_QUEUE_NULL        \
	{                      \
		.event_fd = -1 \
	}

/* 0 or a negative errno. */
int beat_queue_init(struct beat_queue *q);
/* Of an initialised queue or BEAT_QUEUE_NULL; idempotent. */
void beat_queue_deinit(struct beat_queue *q);
/* Watcher only. */
void beat_push_to_sender(struct beat_queue *q, struct beat *beat);
/* Sender only. last: it touches the beat no more until it pops it again. */
void beat_push_to_watcher(struct beat_queue *q, struct beat *beat, bool last);
/*
 * The next one, NULL when empty. Its queued flag is cleared before it is returned. Consumer thread
 * only, and until NULL: what is left behind rings no more.
 */
struct beat *beat_pop_to_sender(struct beat_queue *q);
/* *returned: the sender has nothing of the beat, and will not before it is given it again. */
struct beat *beat_pop_to_watcher(struct beat_queue *q, bool *returned);
/* Empties the eventfd; call before popping. */
void beat_queue_drain_event(struct beat_queue *q);

#endif
