/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/descriptor.h"
#include "http/nodes.h"
#include "http/registry_options.h"
#include "http/result.h"
#include "nacos/api.h"
#include "nacos/members.h"
#include "nacos/responsible.h"

/* Which node of a registry does the work for an instance. */
struct route {
	const struct sender_registry_options *options;
	const struct nacos_api *api;
	struct http_nodes *nodes;
	struct members *members; /* as last told; malloc'ed */
	struct members *fresh;   /* a reply is read into it */
	uint32_t n_owners;       /* 0: not known */
	uint8_t node_of[MEMBERS_MAX];
	enum responsible_tag by;
	uint32_t epoch;     /* another one: what route_way() said may be otherwise now */
	unsigned int which; /* path that is asked */
	uint32_t n_paths;   /* that in a row were no API */
	bool asking;
	bool told; /* the log knows that members cannot be known */
	uint64_t asked_ms;
	uint64_t due_ms;
};

/* What is given outlives it. 0 or -ENOMEM; route_deinit() in any case. */
int route_init(struct route *route, const struct sender_registry_options *options,
	       const struct nacos_api *api, struct http_nodes *nodes);
void route_deinit(struct route *route);

/* It is time to ask for the members: the target of a GET, whose end route_told() hears. False: not now. */
bool route_ask(struct route *route, uint64_t now_ms, char *target, size_t size);
void route_told(struct route *route, const struct http_result *result, uint64_t now_ms);
/* A node has failed, or failed to hand on: its members may think so as well, soon. */
void route_trouble(struct route *route, uint64_t now_ms);
/* The list of servers is another one. */
void route_list_changed(struct route *route);
/* Another API is spoken from now on. */
void route_api_changed(struct route *route);

uint64_t route_due_ms(const struct route *route);

struct http_way route_way(const struct route *route, const struct descriptor *d);

#endif
