/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_CLUSTER_H
#define REGISTRY_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CLUSTER_MAX = 16,
	CLUSTER_ADDRESS_MAX = 64,
	CLUSTER_PEER_CONNECTIONS = 2, /* from one node to another */
};

/* All of these in milliseconds of the registry's clock. */
enum {
	CLUSTER_FORWARD_MS = 2000, /* until a forward is given up */
	CLUSTER_QUEUE_MS = 5000,   /* until waiting for a connection is given up */
	CLUSTER_SEES_KILLED_MS = 8000,
	CLUSTER_SEES_KILLED_SPREAD_MS = 2000,
	CLUSTER_SEES_FROZEN_MS = 15000,
	CLUSTER_SEES_FROZEN_SPREAD_MS = 4000,
	CLUSTER_SEES_BACK_MS = 1000,
	CLUSTER_SEES_BACK_SPREAD_MS = 4000,
};

enum member_state {
	MEMBER_RUNS,
	MEMBER_KILLED,
	MEMBER_FROZEN
};

struct member {
	char address[CLUSTER_ADDRESS_MAX];
	enum member_state state;
	enum member_state fall; /* the last; MEMBER_RUNS is never */
	uint64_t fell_ms;
	uint64_t back_ms;
	uint64_t slow_ms; /* what it takes for each request */
	bool believes;    /* in what somebody told it: bit i is member i */
	uint32_t belief;
	uint64_t busy_until_ms[CLUSTER_MAX][CLUSTER_PEER_CONNECTIONS]; /* its connections */
};

struct cluster {
	struct member members[CLUSTER_MAX];
	unsigned int n_members;
	uint64_t forward_ms; /* what a forward takes */
};

enum forward {
	FORWARD_DONE,
	FORWARD_LATE, /* carried out, but nobody waited for it */
	FORWARD_REFUSED,
	FORWARD_TIMED_OUT,
	FORWARD_NO_CONNECTION
};

void cluster_fall(struct cluster *c, unsigned int at, enum member_state state, uint64_t now_ms);
void cluster_return(struct cluster *c, unsigned int at, uint64_t now_ms);

/* Whether the member at `at` takes `other` for alive. */
bool cluster_sees(const struct cluster *c, unsigned int at, unsigned int other, uint64_t now_ms);
/* Who is responsible for a tag, as the member at `at` believes. */
unsigned int cluster_owner(const struct cluster *c, unsigned int at, const char *tag,
			   uint64_t now_ms);

/* Takes a connection to forward on; wait_ms is how long the reply takes. */
enum forward cluster_forward(struct cluster *c, unsigned int from, unsigned int to, uint64_t now_ms,
			     uint64_t *wait_ms);

/* Java's String.hashCode(). */
int32_t cluster_hash(const char *tag);

#endif
