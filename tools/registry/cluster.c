/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a cluster: who sees whom, who owns what, how long a forward takes
 *
 * Reads no clock and serves nothing: calls are given the time of the registry's clock, so that a
 * test can replay any moment. Figures are those that a cluster of three 2.5.1 servers showed.
 *
 * Each member has a view of its own. It notices the fall of another some seconds late, each
 * member at another time, and likewise its return; meanwhile members disagree about who owns an
 * instance, and refuse what the others forward to them. A view can also be set by hand, and then
 * stays.
 *
 * The owner of a tag is found by its hash among the members that are seen alive, sorted as text.
 * A member that is missing in its own view takes itself for the owner of all.
 *
 * From one member to another there are two connections. A forward to a frozen member holds one
 * for two seconds, so that a third waits, and after five seconds gives up.
 */
#include "cluster.h"

#include "sbuf.h"

#include <stdlib.h>
#include <string.h>

void cluster_fall(struct cluster *c, unsigned int at, enum member_state state, uint64_t now_ms)
{
	struct member *m = &c->members[at];

	m->state = state;
	m->fall = state;
	m->fell_ms = now_ms;
}

void cluster_return(struct cluster *c, unsigned int at, uint64_t now_ms)
{
	c->members[at].state = MEMBER_RUNS;
	c->members[at].back_ms = now_ms;
}

static uint64_t spread(const struct cluster *c, unsigned int at, uint64_t from_ms, uint64_t by_ms)
{
	return from_ms + by_ms * at / c->n_members;
}

/* When the member at `at` takes the fallen one for dead. */
static uint64_t notices_fall_ms(const struct cluster *c, unsigned int at, const struct member *m)
{
	if (m->fall == MEMBER_KILLED)
		return m->fell_ms +
		       spread(c, at, CLUSTER_SEES_KILLED_MS, CLUSTER_SEES_KILLED_SPREAD_MS);
	return m->fell_ms + spread(c, at, CLUSTER_SEES_FROZEN_MS, CLUSTER_SEES_FROZEN_SPREAD_MS);
}

bool cluster_sees(const struct cluster *c, unsigned int at, unsigned int other, uint64_t now_ms)
{
	const struct member *self = &c->members[at], *m = &c->members[other];
	uint64_t noticed_ms;

	if (self->believes)
		return self->belief & 1u << other;
	if (at == other || m->fall == MEMBER_RUNS)
		return true;
	noticed_ms = notices_fall_ms(c, at, m);
	if (m->state != MEMBER_RUNS)
		return now_ms < noticed_ms;
	return m->back_ms < noticed_ms ||
	       now_ms >= m->back_ms +
				 spread(c, at, CLUSTER_SEES_BACK_MS, CLUSTER_SEES_BACK_SPREAD_MS);
}

int32_t cluster_hash(const char *tag)
{
	uint32_t hash = 0, c;

	while ((c = sbuf_next_char(&tag)) != 0) {
		if (c >= 0x10000) {
			hash = hash * 31 + (0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + (c & 0x3ff);
		}
		hash = hash * 31 + c;
	}
	return (int32_t)hash;
}

static int by_address(const void *a, const void *b)
{
	const struct member *const *left = a, *const *right = b;

	return strcmp((*left)->address, (*right)->address);
}

unsigned int cluster_owner(const struct cluster *c, unsigned int at, const char *tag,
			   uint64_t now_ms)
{
	const struct member *seen[CLUSTER_MAX];
	unsigned int n_seen = 0;

	for (unsigned int i = 0; i < c->n_members; i++)
		if (cluster_sees(c, at, i, now_ms))
			seen[n_seen++] = &c->members[i];
	if (!n_seen || !cluster_sees(c, at, at, now_ms))
		return at;
	qsort(seen, n_seen, sizeof(seen[0]), by_address);
	return (unsigned int)(seen[(unsigned int)abs(cluster_hash(tag) % INT32_MAX) % n_seen] -
			      c->members);
}

enum forward cluster_forward(struct cluster *c, unsigned int from, unsigned int to, uint64_t now_ms,
			     uint64_t *wait_ms)
{
	uint64_t *busy_ms = c->members[from].busy_until_ms[to];
	uint64_t takes_ms = c->forward_ms + c->members[to].slow_ms, start_ms;
	bool frozen = c->members[to].state == MEMBER_FROZEN;

	*wait_ms = 0;
	if (c->members[to].state == MEMBER_KILLED)
		return FORWARD_REFUSED;
	for (int i = 1; i < CLUSTER_PEER_CONNECTIONS; i++)
		if (c->members[from].busy_until_ms[to][i] < *busy_ms)
			busy_ms = &c->members[from].busy_until_ms[to][i];
	start_ms = *busy_ms > now_ms ? *busy_ms : now_ms;
	if (start_ms - now_ms > CLUSTER_QUEUE_MS) {
		*wait_ms = CLUSTER_QUEUE_MS;
		return FORWARD_NO_CONNECTION;
	}
	if (frozen || takes_ms > CLUSTER_FORWARD_MS)
		takes_ms = CLUSTER_FORWARD_MS;
	*busy_ms = start_ms + takes_ms;
	*wait_ms = *busy_ms - now_ms;
	if (takes_ms < CLUSTER_FORWARD_MS)
		return FORWARD_DONE;
	return frozen ? FORWARD_TIMED_OUT : FORWARD_LATE;
}
