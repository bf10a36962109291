/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_REQUEST_LANE_H
#define HTTP_REQUEST_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "http/nodes.h"
#include "http/result.h"

enum http_method {
	HTTP_GET,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_POST_FORM /* what stands behind the target's '?' goes as the body, a form */
};

struct request_lane;

/* n_connections per node (>= 1). loop and nodes stay the caller's and outlive the lane. */
int request_lane_new(struct request_lane **out, struct loop *loop, struct http_nodes *nodes,
		     uint32_t n_connections, http_done_fn done, void *ctx);
/* Drops what is queued and in flight without calling done. Takes NULL, returns NULL. */
struct request_lane *request_lane_free(struct request_lane *lane);

/*
 * A node was added to nodes, or its index has a new address; the lane does not use it. 0 or -ENOMEM: then it
 * must not be in the list.
 */
int request_lane_add_node(struct request_lane *lane, uint32_t node);
/* Something is under way to the node. */
bool request_lane_uses(const struct request_lane *lane, uint32_t node);
/* Nodes have left the list or joined it: the next tick, due at once, sees to it. */
void request_lane_list_changed(struct request_lane *lane);

/* For one node each, from here on; HTTP_CONNECT_MS and HTTP_TOTAL_MS until then. */
void request_lane_set_timeouts(struct request_lane *lane, uint32_t connect_ms, uint32_t total_ms);

/* While held, what has asked nobody yet waits, without limit. */
void request_lane_hold(struct request_lane *lane, bool held);

/*
 * Queues a request; target ("/nacos/v1/...") is copied. Owners take turns, one request each;
 * DELETEs of one go before all else of it. Tries nodes from a random start, each once, going on after a transport failure or a 5xx. 0 or -ENOMEM.
 */
int request_lane_submit(struct request_lane *lane, enum http_method method, const char *target,
			uint32_t owner, void *tag, uint32_t serial);

/* To node home first (HTTP_NOWHERE: any), while that is healthy. */
int request_lane_submit_to(struct request_lane *lane, enum http_method method, const char *target,
			   uint32_t owner, void *tag, uint32_t serial, uint32_t home);

/* Deadlines and libcurl's timer: call when due, and once a loop turn. */
void request_lane_tick(struct request_lane *lane, uint64_t now_ms);
uint64_t request_lane_due_ms(const struct request_lane *lane);
/* Requests that have not come to their end. */
uint32_t request_lane_backlog(const struct request_lane *lane);

#endif
