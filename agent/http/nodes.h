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
	bool out;             /* no longer in the list: gets nothing more */
};

#define HTTP_NODES_MAX 64u

struct https_link;

/* The addresses of one registry, with their health. Belongs to the sender thread. */
struct http_nodes {
	struct http_node *nodes; /* HTTP_NODES_MAX of them; an index stays one address's */
	uint32_t n_nodes;        /* that were ever used */
	uint32_t n_in;           /* in the list */
	uint32_t n_tries;        /* of a request at a node that is the only one; 0: once */
	uint32_t seed;
	const struct https_link *link; /* how they are reached; NULL: plainly */
};

#define HTTP_NOWHERE 0xffu

/* Where a request had best go, so far as that is known; HTTP_NOWHERE: it is not. */
struct http_way {
	uint8_t home;  /* node that does the work itself */
	uint8_t group; /* below HTTP_NODES_MAX; what one server does the work for */
};

#define HTTP_ANYWHERE                      \
	(struct http_way)                  \
	{                                  \
		HTTP_NOWHERE, HTTP_NOWHERE \
	}

/* The nodes that one request has asked so far: each is asked at most once, but an only one n_tries times. */
struct http_round {
	uint64_t asked;
	uint32_t n_asked;
};

/*
 * urls: "http://host[:port]" each, at most HTTP_NODES_MAX, none as well, as the configuration validated
 * them (port defaults to 8848). 0 or -ENOMEM.
 */
int http_nodes_init(struct http_nodes *set, const char *const *urls, uint32_t n_urls,
		    uint32_t seed);
void http_nodes_deinit(struct http_nodes *set);

/* The node of an URL, in the list or out of it; HTTP_NODES_MAX: none. */
uint32_t http_nodes_find(const struct http_nodes *set, const char *url);
/*
 * Puts an address that has no node in, at an index that is new or one of reusable (bits: nodes that are out, and
 * that nobody uses). 0, -ENOMEM, or -ENOSPC when all are in use.
 */
int http_nodes_add(struct http_nodes *set, const char *url, uint64_t reusable, uint32_t *node);
/* In the list from now on, or out of it. */
void http_nodes_put(struct http_nodes *set, uint32_t node, bool in);

/*
 * Where a request begins: random among the healthy, else the one whose retry_ms is nearest. Some index below
 * HTTP_NODES_MAX when none is in the list.
 */
uint32_t http_nodes_start(struct http_nodes *set);
/*
 * Another one that the round has not asked and that is usable at now_ms (CLOCK_NEVER: whether it backs off or
 * not), random, so that what a dying node leaves behind spreads over all others. Suspects come last. False when
 * there is none.
 */
bool http_nodes_next(struct http_nodes *set, const struct http_round *round, uint64_t now_ms,
		     uint32_t *node);
/* May the node be asked now? False while it backs off and a probe is not due, and when it is out. */
bool http_nodes_usable(const struct http_nodes *set, uint32_t node, uint64_t now_ms);
/* Why nothing can be asked of it, for who had hoped so. */
const char *http_nodes_why(const struct http_nodes *set, uint32_t node);
/*
 * Transport news. A failure backs off 250 ms .. 2 s with jitter. True when the health changed (worth a
 * log line).
 */
bool http_nodes_failed(struct http_nodes *set, uint32_t node, uint64_t now_ms, const char *why);
bool http_nodes_answered(struct http_nodes *set, uint32_t node);

static inline void http_round_add(struct http_round *round, uint32_t node)
{
	round->asked |= UINT64_C(1) << node;
	round->n_asked++;
}

static inline unsigned int http_round_count(const struct http_round *round)
{
	return round->n_asked;
}

/* For texts: also of an index that was never used. */
static inline const char *http_nodes_name(const struct http_nodes *set, uint32_t node)
{
	return set->nodes[node].base ? set->nodes[node].base : "none";
}

#endif
