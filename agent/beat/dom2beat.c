/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dom2Beat: every instance that this agent beats for
 *
 * A lock-free hash table of immutable nodes. The watcher is its one writer and replaces a node as a
 * whole; the sender and the tools' side read it, whenever they like and without a lock, and see the
 * old instance or the new one but never half of each. Nodes are freed by call_rcu, once no reader
 * can still hold one. The mutable side of an instance, struct beat, stays the same from node to
 * node.
 *
 * The key is registry, namespace, group, service, ip and port. The cluster is not in it: since 2.0
 * a server knows one instance for each ip:port of a service, whatever its cluster.
 *
 * The table grows by itself, in a thread of liburcu's, when its chains get long. It does not count
 * its nodes for that: those counters are one cache line a CPU, and the gauge here is enough. Adoption
 * fills it faster than that thread gets to run, and then most of the time went into the chains: it
 * reserves.
 */
#include "beat/dom2beat.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "beat/container.h"
#include "beat/siphash.h"

#define N_BUCKETS_FIRST 64u

static pthread_once_t hash_once = PTHREAD_ONCE_INIT;
static uint64_t hash_key[2];

static void hash_key_init(void)
{
	/* So few bytes come whole or, before the kernel has gathered entropy, not at all. A key of
	 * zeros then makes a table all the same, though not a guarded one. */
	if (getrandom(hash_key, sizeof(hash_key), GRND_NONBLOCK) < 0)
		memset(hash_key, 0, sizeof(hash_key));
}

static void hash_text(struct siphash *s, const char *text)
{
	siphash_add(s, text, strlen(text) + 1); /* with the NUL: "ab", "c" is not "a", "bc" */
}

uint32_t dom2beat_hash(const struct dom2beat_key *key)
{
	struct siphash s;

	pthread_once(&hash_once, hash_key_init);
	siphash_init(&s, hash_key);
	hash_text(&s, key->registry);
	hash_text(&s, key->namespace_id);
	hash_text(&s, key->group);
	hash_text(&s, key->service);
	hash_text(&s, key->ip);
	siphash_add(&s, &key->port, sizeof(key->port));
	return (uint32_t)siphash_end(&s);
}

void dom2beat_key_of(const struct descriptor *d, struct dom2beat_key *out)
{
	*out = (struct dom2beat_key){
		.registry = d->registry,
		.namespace_id = d->namespace_id,
		.group = d->group,
		.service = d->service,
		.ip = d->ip,
		.port = d->port,
	};
}

static int match(struct cds_lfht_node *lfht, const void *wanted)
{
	const struct dom2beat_node *node = container_of(lfht, struct dom2beat_node, lfht);
	const struct dom2beat_key *key = wanted;
	const struct descriptor *d = node->descriptor;

	/* What differs most often first. */
	return key->port == d->port && strcmp(key->ip, d->ip) == 0 &&
	       strcmp(key->service, d->service) == 0 && strcmp(key->group, d->group) == 0 &&
	       strcmp(key->namespace_id, d->namespace_id) == 0 &&
	       strcmp(key->registry, d->registry) == 0;
}

int dom2beat_init(struct dom2beat *map)
{
	atomic_init(&map->size, 0);
	map->table = cds_lfht_new(N_BUCKETS_FIRST, N_BUCKETS_FIRST, 0, CDS_LFHT_AUTO_RESIZE, NULL);
	return map->table ? 0 : -ENOMEM;
}

void dom2beat_reserve(struct dom2beat *map, uint32_t n)
{
	unsigned long n_buckets = N_BUCKETS_FIRST;

	while (n_buckets < n)
		n_buckets *= 2;
	if (n_buckets > N_BUCKETS_FIRST)
		cds_lfht_resize(map->table, n_buckets);
}

struct dom2beat_node *dom2beat_find(struct dom2beat *map, const struct dom2beat_key *key)
{
	struct cds_lfht_node *found;
	struct cds_lfht_iter iter;

	cds_lfht_lookup(map->table, dom2beat_hash(key), match, key, &iter);
	found = cds_lfht_iter_get_node(&iter);
	return found ? container_of(found, struct dom2beat_node, lfht) : NULL;
}

struct dom2beat_node *dom2beat_node_new(struct beat *beat, struct descriptor *d, uint32_t version,
					const struct dom2beat_holder *holders, uint32_t n_holders)
{
	size_t holders_size = n_holders * sizeof(struct dom2beat_holder);
	struct dom2beat_node *node = malloc(sizeof(*node) + holders_size);

	if (!node)
		return NULL;
	memset(node, 0, sizeof(*node));
	cds_lfht_node_init(&node->lfht);
	node->beat = beat;
	node->descriptor = descriptor_ref(d);
	node->version = version;
	node->n_holders = n_holders;
	if (n_holders > 0)
		memcpy(node->holders, holders, holders_size);
	return node;
}

static void node_free_rcu(struct rcu_head *head)
{
	struct dom2beat_node *node = container_of(head, struct dom2beat_node, rcu);

	descriptor_unref(node->descriptor);
	free(node);
}

void dom2beat_set(struct dom2beat *map, struct dom2beat_node *node)
{
	struct beat *beat = node->beat;
	struct dom2beat_node *old = beat->node;
	struct cds_lfht_node *replaced;
	struct dom2beat_key key;

	dom2beat_key_of(node->descriptor, &key);
	assert(beat->key_hash == dom2beat_hash(&key));
	rcu_read_lock();
	replaced = cds_lfht_add_replace(map->table, beat->key_hash, match, &key, &node->lfht);
	rcu_read_unlock();
	assert(replaced == (old ? &old->lfht : NULL)); /* one beat a key */
	rcu_assign_pointer(beat->node, node);
	if (old)
		call_rcu(&old->rcu, node_free_rcu);
	else
		atomic_fetch_add_explicit(&map->size, 1, memory_order_relaxed);
}

/* Readers that found the node may still go from it to the beat, so both wait for a grace period. */
static void take_out(struct dom2beat *map, struct beat *beat)
{
	struct dom2beat_node *node = beat->node;

	if (node) {
		rcu_read_lock();
		cds_lfht_del(map->table, &node->lfht);
		rcu_read_unlock();
		atomic_fetch_sub_explicit(&map->size, 1, memory_order_relaxed);
		call_rcu(&node->rcu, node_free_rcu);
	}
	beat_free(beat);
}

void dom2beat_remove(struct dom2beat *map, struct beat *beat)
{
	assert(atomic_load(&beat->queued_to_sender) == 0);
	assert(atomic_load(&beat->queued_to_watcher) == 0);
	assert(beat->n_inflight == 0 && !beat->wheel.prevp);
	take_out(map, beat);
}

void dom2beat_deinit(struct dom2beat *map)
{
	struct cds_lfht_node *node;
	struct cds_lfht_iter iter;
	int r;

	if (!map->table)
		return;
	rcu_read_lock();
	cds_lfht_for_each(map->table, &iter, node)
		take_out(map, container_of(node, struct dom2beat_node, lfht)->beat);
	rcu_read_unlock();
	rcu_barrier();
	r = cds_lfht_destroy(map->table, NULL);
	assert(r == 0);
	map->table = NULL;
}

void dom2beat_each(struct dom2beat *map, void (*fn)(void *ctx, const struct dom2beat_node *node),
		   void *ctx)
{
	struct cds_lfht_node *node;
	struct cds_lfht_iter iter;

	cds_lfht_for_each(map->table, &iter, node)
		fn(ctx, container_of(node, struct dom2beat_node, lfht));
}
