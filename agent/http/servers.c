/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a registry's servers come from
 *
 * The first list is the configuration's: its addresses, or its one name, which stands for all servers and is looked
 * up for each connection. With an endpoint and no address it is the snapshot of an earlier run; without that
 * there is none yet, and whatever is asked of the registry ends at once, until the endpoint has answered. Its list
 * then takes the place of every other.
 *
 * A server keeps its index as long as it is in the list and as long as anything of it is under way; see nodes.c.
 * The sender's thread only.
 */
#include "http/servers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define DOMAIN_TRIES 3u

/* Servers that an endpoint names without a scheme speak as what is configured does. */
static bool is_tls(const struct sender_registry_options *o)
{
	return strncmp(o->n_urls > 0 ? o->urls[0] : o->endpoint, "https:", 6) == 0;
}

static uint32_t seed(void)
{
	return (uint32_t)clock_now_ms() ^ (uint32_t)getpid() << 16;
}

static int init_from(struct servers *s, const char *const *urls, uint32_t n)
{
	return http_nodes_init(s->nodes, urls, n, seed());
}

static int init_from_snapshot(struct servers *s)
{
	CLEANUP(free_p) struct serverlist *list = malloc(sizeof(*list));
	const char *urls[SERVERLIST_MAX];
	const struct sender_registry_options *o = s->options;

	if (!list)
		return -ENOMEM;
	list->n = 0;
	if (o->snapshot && endpoint_snapshot(o->snapshot, is_tls(o), list) == 0)
		log_info("endpoint.snapshot",
			 "registry=%s file=%s servers=%u next=\"used until the endpoint answers\"",
			 o->name, LOG_Q(o->snapshot), list->n);
	for (uint32_t i = 0; i < list->n; i++)
		urls[i] = list->urls[i];
	return init_from(s, urls, list->n);
}

int servers_init(struct servers *s, const struct sender_registry_options *options,
		 struct http_nodes *nodes)
{
	int r;

	*s = (struct servers){ .options = options, .nodes = nodes };
	if (options->n_urls > 0)
		return init_from(s, options->urls, options->n_urls);
	if (!options->domain)
		return init_from_snapshot(s);
	r = init_from(s, &options->domain, 1);
	nodes->n_tries = DOMAIN_TRIES;
	return r;
}

static bool lists(const struct serverlist *list, const struct http_nodes *nodes, uint32_t node)
{
	for (uint32_t i = 0; i < list->n; i++) {
		if (http_nodes_find(nodes, list->urls[i]) == node)
			return true;
	}
	return false;
}

/* Indices that another address may have. */
static uint64_t reusable(const struct servers *s)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < s->nodes->n_nodes; i++) {
		if (s->nodes->nodes[i].out && !beat_lane_uses(s->beats, i) &&
		    !request_lane_uses(s->requests, i))
			bits |= UINT64_C(1) << i;
	}
	return bits;
}

static int add(struct servers *s, const char *url)
{
	uint32_t node;
	int r = http_nodes_add(s->nodes, url, reusable(s), &node);

	if (r < 0)
		return r;
	r = request_lane_add_node(s->requests, node);
	if (r == 0)
		r = beat_lane_add_node(s->beats, node);
	if (r < 0)
		http_nodes_put(s->nodes, node, false);
	return r;
}

void servers_set(struct servers *s, const struct serverlist *list)
{
	struct http_nodes *nodes = s->nodes;
	uint32_t n_before = nodes->n_in;

	for (uint32_t i = 0; i < nodes->n_nodes; i++)
		http_nodes_put(nodes, i, lists(list, nodes, i));
	for (uint32_t i = 0; i < list->n; i++) {
		int r = http_nodes_find(nodes, list->urls[i]) < HTTP_NODES_MAX
				? 0
				: add(s, list->urls[i]);

		if (r < 0)
			log_warning("registry.list",
				    "registry=%s server=%s error=%s next=\"left out\"",
				    s->options->name, LOG_Q(list->urls[i]), LOG_Q(strerror(-r)));
	}
	beat_lane_list_changed(s->beats);
	request_lane_list_changed(s->requests);
	s->changed(s->ctx);
	log_info("registry.list", "registry=%s servers=%u before=%u", s->options->name, nodes->n_in,
		 n_before);
}

static void on_list(void *ctx, const struct serverlist *list)
{
	servers_set(ctx, list);
}

int servers_watch(struct servers *s, struct loop *loop, struct request_lane *requests,
		  struct beat_lane *beats, void (*changed)(void *ctx), void *ctx)
{
	const struct sender_registry_options *o = s->options;
	struct endpoint_options options = {
		.registry = o->name,
		.url = o->endpoint,
		.snapshot = o->snapshot,
		.proxy = o->proxy,
		.tls = &o->tls,
		.interval_ms = o->endpoint_interval_ms,
		.connect_ms = o->connect_timeout_ms ? o->connect_timeout_ms : HTTP_CONNECT_MS,
		.total_ms = o->request_timeout_ms ? o->request_timeout_ms : HTTP_TOTAL_MS,
		.changed = on_list,
		.ctx = s,
	};

	s->requests = requests;
	s->beats = beats;
	s->changed = changed;
	s->ctx = ctx;
	if (!o->endpoint)
		return 0;
	options.https = is_tls(o);
	return endpoint_new(&s->endpoint, loop, &options);
}

void servers_deinit(struct servers *s)
{
	s->endpoint = endpoint_free(s->endpoint);
}

void servers_tick(struct servers *s, uint64_t now_ms)
{
	if (s->endpoint)
		endpoint_tick(s->endpoint, now_ms);
}

uint64_t servers_due_ms(const struct servers *s)
{
	return s->endpoint ? endpoint_due_ms(s->endpoint) : CLOCK_NEVER;
}
