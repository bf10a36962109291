/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which node does the work for an instance
 *
 * Members of a cluster share the instances by a hash, and hand on what is not theirs. The list of members is asked
 * for, now and then and soon after trouble; with it every instance has its owner, and where the owner is a node of
 * ours its requests go there first. The list is the cluster's own view: its addresses need not be ours. What
 * cannot be matched goes to any node, as before.
 *
 * Where the members are not known, or are not to be used (route = any), the hash still tells instances of different
 * owners apart, if the cluster has as many members as we have nodes. That is all that is needed to keep them from
 * waiting for each other. v3 hands nothing on: there an instance stays with the node that its hash chooses among
 * ours, because the next one does not know it. So it does when its owner cannot be matched.
 *
 * Servers that know but themselves are no cluster, whatever the list says. No clock here; the sender's thread only.
 */
#include "http/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define ASK_MS 15000u     /* between two questions, when all is well */
#define TROUBLE_MS 1000u  /* at least, when it is not */
#define UNKNOWN_MS 30000u /* when no server tells */
#define OWNERS_MIN 2u

int route_init(struct route *route, const struct sender_registry_options *options,
	       const struct nacos_api *api, struct http_nodes *nodes)
{
	*route = (struct route){ .options = options,
				 .api = api,
				 .nodes = nodes,
				 .by = RESPONSIBLE_BY_ADDRESS,
				 .epoch = 1 };
	route->members = calloc(1, sizeof(*route->members));
	route->fresh = calloc(1, sizeof(*route->fresh));
	return route->members && route->fresh ? 0 : -ENOMEM;
}

void route_deinit(struct route *route)
{
	free(route->members);
	free(route->fresh);
	route->members = route->fresh = NULL;
}

static bool applies(const struct route *route)
{
	return route->options->route != REGISTRY_ROUTE_ANY && route->nodes->n_in > 1;
}

uint64_t route_due_ms(const struct route *route)
{
	return applies(route) && !route->asking ? route->due_ms : CLOCK_NEVER;
}

bool route_ask(struct route *route, uint64_t now_ms, char *target, size_t size)
{
	if (route_due_ms(route) > now_ms)
		return false;
	route->asking = members_path(route->api->context, route->which, target, size) > 0;
	route->asked_ms = now_ms;
	route->due_ms = now_ms + UNKNOWN_MS;
	return route->asking;
}

/* The node that a member is, by its address in our list. */
static uint8_t node_of(const struct route *route, const char *address)
{
	for (uint32_t i = 0; i < route->nodes->n_nodes; i++) {
		if (!route->nodes->nodes[i].out &&
		    strcmp(route->nodes->nodes[i].host, address) == 0)
			return (uint8_t)i;
	}
	return HTTP_NOWHERE;
}

static void match(struct route *route)
{
	const struct members *m = route->members;
	uint8_t found[MEMBERS_MAX] = { 0 };
	uint32_t n = m->n_owners >= OWNERS_MIN ? m->n_owners : 0;

	for (uint32_t i = 0; i < n; i++)
		found[i] = node_of(route, m->members[i].address);
	if (n == route->n_owners && memcmp(found, route->node_of, n) == 0)
		return;
	memcpy(route->node_of, found, n);
	route->n_owners = n;
	route->epoch++;
	log_info("registry.members", "registry=%s owners=%u nodes=%u", route->options->name, n,
		 route->nodes->n_in);
}

static void say_unknown(struct route *route, const char *why)
{
	if (!route->told && route->options->route == REGISTRY_ROUTE_RESPONSIBLE)
		log_warning(
			"registry.members",
			"registry=%s error=%s next=\"requests go to any node, it is asked again\"",
			route->options->name, LOG_Q(why));
	route->told = true;
}

static void take_members(struct route *route)
{
	struct members *told = route->fresh;
	unsigned int version = told->version;

	route->fresh = route->members;
	route->members = told;
	route->told = false;
	route->n_paths = 0;
	if (version == 1 && route->by != RESPONSIBLE_BY_SERVICE) {
		route->by = RESPONSIBLE_BY_SERVICE;
		route->epoch++;
	} else if (version > 1 && route->by != RESPONSIBLE_BY_ADDRESS) {
		route->by = RESPONSIBLE_BY_ADDRESS;
		route->epoch++;
	}
	match(route);
}

/* Silence and 5xx are no news of the members: what is known stays, and its owners' failures show by themselves. */
void route_told(struct route *route, const struct http_result *result, uint64_t now_ms)
{
	struct members *m = route->fresh;

	route->asking = false;
	if (result->end != HTTP_ANSWERED) {
		route->due_ms = now_ms + TROUBLE_MS;
		return;
	}
	members_read(result->status, result->body, result->n_body, m);
	switch (m->verdict) {
	case MEMBERS_OK:
		take_members(route);
		route->due_ms = now_ms + (route->n_owners ? ASK_MS : UNKNOWN_MS);
		return;
	case MEMBERS_NO_API:
	case MEMBERS_DENIED: /* rights are given path by path */
		route->which = (route->which + 1) % MEMBERS_PATHS;
		if (++route->n_paths < MEMBERS_PATHS) {
			route->due_ms = now_ms;
			return;
		}
		route->n_paths = 0;
		break;
	case MEMBERS_FAILED:
		break;
	}
	say_unknown(route, m->text);
	route->due_ms = now_ms + (m->verdict == MEMBERS_FAILED ? 2 * TROUBLE_MS : UNKNOWN_MS);
}

void route_trouble(struct route *route, uint64_t now_ms)
{
	uint64_t soon_ms = route->asked_ms + TROUBLE_MS;

	if (soon_ms < now_ms)
		soon_ms = now_ms;
	if (route->n_owners > 0 && soon_ms < route->due_ms)
		route->due_ms = soon_ms;
}

void route_list_changed(struct route *route)
{
	route->due_ms = 0;
	route->epoch++;
	match(route);
}

void route_api_changed(struct route *route)
{
	route->epoch++;
}

/* The nth node of the list. */
static uint8_t nth_node(const struct route *route, uint32_t n)
{
	for (uint32_t i = 0; i < route->nodes->n_nodes; i++) {
		if (!route->nodes->nodes[i].out && n-- == 0)
			return (uint8_t)i;
	}
	return HTTP_NOWHERE;
}

struct http_way route_way(const struct route *route, const struct descriptor *d)
{
	bool known = route->n_owners > 0 && applies(route);
	uint32_t n = known ? route->n_owners : route->nodes->n_in;
	struct http_way way = HTTP_ANYWHERE;
	char tag[RESPONSIBLE_TAG_MAX];
	uint32_t owner;

	if (n < OWNERS_MIN || !d->ephemeral || responsible_tag(route->by, d, tag, sizeof(tag)) == 0)
		return way;
	owner = responsible_index(tag, n);
	way.group = (uint8_t)owner;
	if (known)
		way.home = route->node_of[owner];
	if (way.home == HTTP_NOWHERE && route->api->version == NACOS_V3)
		way.home = nth_node(route, responsible_index(tag, route->nodes->n_in));
	return way;
}
