/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_NODES_H
#define HTTP_NODES_H

#include <stdbool.h>
#include <stdint.h>

/* One address of a registry. */
struct http_node {
	char *base;           /* "http://host:8848": what libcurl connects to */
	char *host;           /* "host:8848": the Host header */
	uint32_t n_failures;  /* transport failures in a row */
	uint64_t retry_ms;    /* not asked before, unless every node is in that state; 0: healthy */
	char last_error[128]; /* "" while healthy */
};

#define HTTP_NODES_MAX 64u

/* The addresses of one registry, with their health. Belongs to the sender thread. */
struct http_nodes {
	struct http_node *nodes;
	uint32_t n_nodes;
	uint32_t seed;
};

/* The nodes that one request has asked so far: each is asked at most once. */
struct http_round {
	uint64_t asked;
};

/*
 * urls: "http://host[:port]" each, at most HTTP_NODES_MAX, as the configuration validated them
 * (port defaults to 8848). 0 or -ENOMEM.
 */
int http_nodes_init(struct http_nodes *set, const char *const *urls, uint32_t n_urls,
		    uint32_t seed);
void http_nodes_deinit(struct http_nodes *set);

/* Where a request begins: random among the healthy, else the one whose retry_ms is nearest. */
uint32_t http_nodes_start(struct http_nodes *set);
/*
 * The next one after *node that the round has not asked and that is usable at now_ms (CLOCK_NEVER:
 * whether it backs off or not). Suspects come last. False when there is none.
 */
bool http_nodes_next(const struct http_nodes *set, const struct http_round *round, uint64_t now_ms,
		     uint32_t *node);
/* May the node be asked now? False while it backs off and a probe is not due. */
bool http_nodes_usable(const struct http_nodes *set, uint32_t node, uint64_t now_ms);
/*
 * Transport news. A failure backs off 250 ms .. 2 s with jitter. True when the health changed (worth a
 * log line).
 */
bool http_nodes_failed(struct http_nodes *set, uint32_t node, uint64_t now_ms, const char *why);
bool http_nodes_answered(struct http_nodes *set, uint32_t node);

static inline void http_round_add(struct http_round *round, uint32_t node)
{
	round->asked |= UINT64_C(1) << node;
}

static inline unsigned int http_round_count(const struct http_round *round)
{
	return (unsigned int)__builtin_popcountll(round->asked);
}

#endif
