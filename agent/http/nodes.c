/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of a registry, and which of them may be asked
 *
 * A node is healthy (retry_ms 0) until a transport failure makes it suspect. A suspect backs off:
 * it is not asked before retry_ms, while healthy ones take its work; then one probe may go, and its
 * end decides. Only transport counts: a node that answers 500 is healthy, because many 500s are the
 * instance's own fault.
 *
 * Several connections die together when a node does. Failures that arrive while it backs off are
 * news of the same outage: they neither count nor stretch the back-off.
 *
 * An index stays with its address while anybody may hold it. An address that leaves the list is out: nobody
 * begins anything there, what is under way comes to its end, and only then may another address have the index.
 *
 * A single name for many servers (n_tries) is tried again at once, because the next look at the name may give
 * another server; it backs off when that many tries in a row have failed.
 *
 * A round is the set of nodes that one request has asked. It is kept apart from the order, which
 * follows the health of the moment: a node that fails moves behind the others without being asked a
 * second time.
 *
 * No clock and no log here; one thread.
 */
#include "http/nodes.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT "8848"
#define BACKOFF_FIRST_MS 250u
#define BACKOFF_LAST_MS 1000u /* a delay is drawn between the step and twice the step */

/* Spreads the bits of any seed; never 0, which xorshift would not leave. */
static uint32_t mix(uint32_t seed)
{
	seed ^= seed >> 16;
	seed *= 0x85ebca6bu;
	seed ^= seed >> 13;
	seed *= 0xc2b2ae35u;
	seed ^= seed >> 16;
	return seed ? seed : 0x9e3779b9u;
}

/* A number below n. */
static uint32_t draw(struct http_nodes *set, uint32_t n)
{
	uint32_t x = set->seed;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	set->seed = x;
	return (uint32_t)((uint64_t)x * n >> 32);
}

static bool has_port(const char *host)
{
	const char *end = *host == '[' ? strchr(host, ']') : host;

	return end && strchr(end, ':');
}

static int node_init(struct http_node *node, const char *url)
{
	const char *scheme_end = strstr(url, "://");
	const char *host = scheme_end ? scheme_end + 3 : url;
	size_t n = strcspn(host, "/");
	int r;

	r = asprintf(&node->host, "%.*s%s", (int)n, host, has_port(host) ? "" : ":" DEFAULT_PORT);
	if (r < 0) {
		node->host = NULL;
		return -ENOMEM;
	}
	r = asprintf(&node->base, "%.*s%s", (int)(host - url), url, node->host);
	if (r < 0) {
		node->base = NULL;
		return -ENOMEM;
	}
	return 0;
}

int http_nodes_init(struct http_nodes *set, const char *const *urls, uint32_t n_urls, uint32_t seed)
{
	int r = 0;

	assert(n_urls <= HTTP_NODES_MAX);
	*set = (struct http_nodes){ .seed = mix(seed) };
	set->nodes = calloc(HTTP_NODES_MAX, sizeof(*set->nodes));
	if (!set->nodes)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_urls && r == 0; i++) {
		set->n_nodes++;
		set->n_in++;
		r = node_init(&set->nodes[i], urls[i]);
	}
	if (r < 0)
		http_nodes_deinit(set);
	return r;
}

static void node_deinit(struct http_node *node)
{
	free(node->base);
	free(node->host);
	*node = (struct http_node){ 0 };
}

void http_nodes_deinit(struct http_nodes *set)
{
	for (uint32_t i = 0; i < set->n_nodes; i++)
		node_deinit(&set->nodes[i]);
	free(set->nodes);
	*set = (struct http_nodes){ 0 };
}

uint32_t http_nodes_find(const struct http_nodes *set, const char *url)
{
	struct http_node wanted = { 0 };
	uint32_t i = 0;

	if (node_init(&wanted, url) < 0) {
		node_deinit(&wanted);
		return HTTP_NODES_MAX;
	}
	while (i < set->n_nodes && strcmp(set->nodes[i].base, wanted.base) != 0)
		i++;
	node_deinit(&wanted);
	return i < set->n_nodes ? i : HTTP_NODES_MAX;
}

int http_nodes_add(struct http_nodes *set, const char *url, uint64_t reusable, uint32_t *node)
{
	struct http_node added = { .out = true };
	uint32_t i = set->n_nodes;
	int r;

	if (reusable)
		i = (uint32_t)__builtin_ctzll(reusable);
	if (i == HTTP_NODES_MAX)
		return -ENOSPC;
	r = node_init(&added, url);
	if (r < 0) {
		node_deinit(&added);
		return r;
	}
	assert(i == set->n_nodes || set->nodes[i].out);
	node_deinit(&set->nodes[i]);
	set->nodes[i] = added;
	if (i == set->n_nodes)
		set->n_nodes++;
	http_nodes_put(set, i, true);
	*node = i;
	return 0;
}

void http_nodes_put(struct http_nodes *set, uint32_t node, bool in)
{
	struct http_node *n = &set->nodes[node];

	if (n->out != in)
		return;
	n->out = !in;
	n->n_failures = 0; /* whoever comes back is another process, likely */
	n->retry_ms = 0;
	n->last_error[0] = '\0';
	if (in)
		set->n_in++;
	else
		set->n_in--;
}

const char *http_nodes_why(const struct http_nodes *set, uint32_t node)
{
	if (set->n_in == 0)
		return "no server of it is known";
	return set->nodes[node].out ? "the server has left the list" : set->nodes[node].last_error;
}

static bool healthy(const struct http_nodes *set, uint32_t node)
{
	return set->nodes[node].retry_ms == 0 && !set->nodes[node].out;
}

static uint32_t nearest_retry(const struct http_nodes *set)
{
	uint32_t nearest = 0;

	for (uint32_t i = 1; i < set->n_nodes; i++) {
		if (set->nodes[i].out)
			continue;
		if (set->nodes[nearest].out ||
		    set->nodes[i].retry_ms < set->nodes[nearest].retry_ms)
			nearest = i;
	}
	return nearest;
}

uint32_t http_nodes_start(struct http_nodes *set)
{
	uint32_t n_healthy = 0;
	uint32_t nth;

	for (uint32_t i = 0; i < set->n_nodes; i++)
		n_healthy += healthy(set, i);
	if (n_healthy == 0)
		return nearest_retry(set);
	nth = draw(set, n_healthy);
	for (uint32_t i = 0;; i++) {
		assert(i < set->n_nodes);
		if (healthy(set, i) && nth-- == 0)
			return i;
	}
}

/* An only one may stand for several, by a name whose address is looked up each time. */
static bool may_ask(const struct http_nodes *set, const struct http_round *round, uint32_t node)
{
	return !(round->asked >> node & 1) || (set->n_in == 1 && round->n_asked < set->n_tries);
}

bool http_nodes_next(struct http_nodes *set, const struct http_round *round, uint64_t now_ms,
		     uint32_t *node)
{
	uint32_t found[HTTP_NODES_MAX];
	uint32_t n_healthy = 0;
	uint32_t n_suspect = 0;

	for (uint32_t k = 0; k < set->n_nodes; k++) {
		if (!may_ask(set, round, k) || !http_nodes_usable(set, k, now_ms))
			continue;
		if (healthy(set, k))
			found[n_healthy++] = k;
		else
			found[HTTP_NODES_MAX - ++n_suspect] = k;
	}
	if (n_healthy > 0)
		*node = found[draw(set, n_healthy)];
	else if (n_suspect > 0)
		*node = found[HTTP_NODES_MAX - 1 - draw(set, n_suspect)];
	return n_healthy + n_suspect > 0;
}

bool http_nodes_usable(const struct http_nodes *set, uint32_t node, uint64_t now_ms)
{
	return set->nodes[node].retry_ms <= now_ms && !set->nodes[node].out;
}

bool http_nodes_failed(struct http_nodes *set, uint32_t node, uint64_t now_ms, const char *why)
{
	struct http_node *n = &set->nodes[node];
	bool was_healthy = healthy(set, node);
	uint32_t step_ms = BACKOFF_FIRST_MS;

	snprintf(n->last_error, sizeof(n->last_error), "%s", why);
	if (n->retry_ms > now_ms)
		return false;
	for (uint32_t i = 0; i < n->n_failures && step_ms < BACKOFF_LAST_MS; i++)
		step_ms *= 2;
	n->n_failures++;
	n->retry_ms = now_ms;
	if (set->n_in != 1 || n->n_failures >= set->n_tries)
		n->retry_ms += step_ms + draw(set, step_ms + 1);
	return was_healthy;
}

bool http_nodes_answered(struct http_nodes *set, uint32_t node)
{
	struct http_node *n = &set->nodes[node];

	if (healthy(set, node))
		return false;
	n->n_failures = 0;
	n->retry_ms = 0;
	n->last_error[0] = '\0';
	return true;
}
