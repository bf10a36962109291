/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SERVERS_H
#define HTTP_SERVERS_H

#include "base/loop.h"
#include "http/beat_lane.h"
#include "http/endpoint.h"
#include "http/nodes.h"
#include "http/registry_options.h"
#include "http/request_lane.h"

/* Where a registry's list of servers comes from. Must not move while it watches. */
struct servers {
	const struct sender_registry_options *options;
	struct http_nodes *nodes;
	struct request_lane *requests;
	struct beat_lane *beats;
	struct endpoint *endpoint; /* NULL: the list stays as it is */
	void (*changed)(void *ctx);
	void *ctx;
};

/* The first list, into nodes, before there are lanes. 0 or -ENOMEM; http_nodes_deinit() is the caller's. */
int servers_init(struct servers *s, const struct sender_registry_options *options,
		 struct http_nodes *nodes);
/* From here on the list may change. 0 or a negative errno. */
int servers_watch(struct servers *s, struct loop *loop, struct request_lane *requests,
		  struct beat_lane *beats, void (*changed)(void *ctx), void *ctx);
void servers_deinit(struct servers *s);

/* The list is to be this one. */
void servers_set(struct servers *s, const struct serverlist *list);

void servers_tick(struct servers *s, uint64_t now_ms);
uint64_t servers_due_ms(const struct servers *s);

#endif
