/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_STATE_H
#define HTTP_BEAT_STATE_H

/* What the files of the beat lane share: beat_lane.c and its beat_*.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/beat_conn.h"
#include "http/beat_head.h"
#include "http/beat_lane.h"
#include "http/beat_record.h"
#include "http/nodes.h"
#include "http/result.h"

/* Requests in flight on a connection. More would be pipelining. */
#define BEAT_DEPTH 1u

/* The place of one connection to a node. */
struct beat_slot {
	struct beat_lane *lane;
	uint32_t node;
	bool aside; /* for beats that wait aside, and no others */
	struct beat_conn conn;
	/* Oldest first. While the connection is not open: to be written again as soon as it is. */
	struct beat_record *inflight[BEAT_DEPTH];
	uint32_t n_inflight;
	uint32_t n_written; /* requests, since it was opened */
	uint64_t used_ms;   /* opened, or answered, last */
	uint64_t asked_ms;  /* when the oldest in flight had the connection for itself */
};

/* Beats that are to be sent to one node and nowhere else. */
struct beat_waiting {
	struct beat_record_queue queue;
	uint64_t due_ms; /* none of them gives up before */
};

/* One node, as the lane sees it. */
struct beat_node {
	struct beat_slot *slots; /* lane->n_connections, the one aside, those of a slow node */
	uint32_t n_slots;        /* 0: it was never used */
	uint32_t n_slow;         /* replies in a row that took long; saturates */
	struct beat_head head;
	uint32_t limit;       /* requests that it takes on a connection; 0: unknown */
	uint64_t answered_ms; /* when a whole reply came last; 0: never */
	uint32_t credit;      /* connections that may break now without the node being in doubt */
	struct beat_waiting bound;
	struct beat_waiting aside; /* it would ask another server, which may be long in answering */
};

struct beat_lane {
	struct loop *loop;
	struct http_nodes *nodes;
	struct beat_node *at; /* HTTP_NODES_MAX: one for each that nodes may have */
	uint32_t n_connections;
	uint32_t cursor; /* node at which the next handing out begins */
	http_done_fn done;
	void *ctx;
	struct beat_timeouts timeouts;
	struct beat_record_pool pool;
	struct beat_record_queue submitted; /* not flushed yet */
	struct beat_record_queue flushed;   /* not in a queue to be sent from */
	struct beat_record_queue queue;     /* any connection may take the first */
	uint64_t slow_ms[HTTP_NODES_MAX];   /* by group: until when its beats wait aside */
	uint32_t n_groups;
	uint64_t now_ms;
	bool busy;    /* a turn of the lane is under way */
	bool stirred; /* something changed that concerns more than one slot */
	bool again;   /* flushed from within a turn: the next tick is due at once */
};

#endif
