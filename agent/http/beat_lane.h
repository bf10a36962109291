/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_LANE_H
#define HTTP_BEAT_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "http/nodes.h"
#include "http/result.h"

struct beat_lane;

struct beat_timeouts {
	uint32_t connect_ms;
	uint32_t attempt_ms; /* what one of several nodes may take: leaves time for another */
	uint32_t total_ms;   /* from the first writing to the end */
	uint32_t queue_ms;   /* from flush to the first writing */
	uint32_t idle_ms;    /* a connection without work is closed */
	uint32_t slow_ms;    /* a node that takes as long for a reply is slow (beat_connect.c) */
};

#define BEAT_TIMEOUTS_DEFAULT                                                                 \
	{                                                                                     \
		.connect_ms = HTTP_CONNECT_MS, .attempt_ms = 2500, .total_ms = HTTP_TOTAL_MS, \
		.queue_ms = 4000, .idle_ms = 50000, .slow_ms = 10                             \
	}

int beat_lane_new(struct beat_lane **out, struct loop *loop, struct http_nodes *nodes,
		  uint32_t n_connections, http_done_fn done, void *ctx);
/* Drops what is queued and in flight without calling done. Takes NULL, returns NULL. */
struct beat_lane *beat_lane_free(struct beat_lane *lane);

/*
 * A node was added to nodes, or its index has a new address; the lane does not use it. 0 or -ENOMEM: then it
 * must not be in the list.
 */
int beat_lane_add_node(struct beat_lane *lane, uint32_t node);
/* Something is under way to the node, or a connection is kept. */
bool beat_lane_uses(const struct beat_lane *lane, uint32_t node);
/* Nodes have left the list or joined it: the next tick, due at once, sees to it. */
void beat_lane_list_changed(struct beat_lane *lane);

/* For what is flushed or connected from here on; BEAT_TIMEOUTS_DEFAULT until then. */
void beat_lane_set_timeouts(struct beat_lane *lane, const struct beat_timeouts *timeouts);

/*
 * Queues a beat. request is its request line, "PUT /nacos/v1/ns/instance/beat?... HTTP/1.1\r\n",
 * not copied: it stays unchanged until done was called. The lane adds the node's head lines.
 * Nothing is written before beat_lane_flush(), so that the beats of a tick go out together. 0 or
 * -ENOMEM.
 */
int beat_lane_submit(struct beat_lane *lane, const char *request, uint32_t n_request, void *tag,
		     uint32_t serial);
/* With a way: not to any node, and not before others, if it is to end well. */
int beat_lane_submit_to(struct beat_lane *lane, const char *request, uint32_t n_request, void *tag,
			uint32_t serial, struct http_way way);
/*
 * The same with a body: behind the request line stand the head lines that tell of it, then, in n_body bytes, a
 * blank line and the body itself.
 */
int beat_lane_submit_full(struct beat_lane *lane, const char *request, uint32_t n_request,
			  uint32_t n_body, void *tag, uint32_t serial, struct http_way way);
void beat_lane_flush(struct beat_lane *lane, uint64_t now_ms);

void beat_lane_tick(struct beat_lane *lane, uint64_t now_ms);
uint64_t beat_lane_due_ms(const struct beat_lane *lane);
/* For tools: open connections to a node. */
uint32_t beat_lane_connections(const struct beat_lane *lane, uint32_t node);

#endif
