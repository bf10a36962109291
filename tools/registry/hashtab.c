/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chained hash table
 *
 * Nodes are embedded in their owners, so that inserting allocates nothing and cannot fail: when
 * the bucket array cannot grow, chains grow instead. The table owns the bucket array alone.
 * FNV-1a is enough here: a registry for trying things out has no enemy that picks its names.
 */
#include "hashtab.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
	FIRST_BUCKETS = 1024
};

int hashtab_init(struct hashtab *t)
{
	*t = (struct hashtab){ .n_buckets = FIRST_BUCKETS };
	t->buckets = calloc(t->n_buckets, sizeof(*t->buckets));
	return t->buckets ? 0 : -ENOMEM;
}

void hashtab_deinit(struct hashtab *t)
{
	free(t->buckets);
	*t = (struct hashtab){ .buckets = NULL };
}

static struct hashtab_node **bucket_of(const struct hashtab *t, uint32_t hash)
{
	return &t->buckets[hash & (t->n_buckets - 1)];
}

static struct hashtab_node *first_match(struct hashtab_node *node, uint32_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct hashtab_node *hashtab_first(const struct hashtab *t, uint32_t hash)
{
	return first_match(*bucket_of(t, hash), hash);
}

struct hashtab_node *hashtab_next(const struct hashtab_node *node)
{
	return first_match(node->next, node->hash);
}

static void push(struct hashtab *t, struct hashtab_node *node)
{
	struct hashtab_node **bucket = bucket_of(t, node->hash);

	node->next = *bucket;
	*bucket = node;
}

static void grow(struct hashtab *t)
{
	struct hashtab old = *t;
	struct hashtab_node *node, *next;

	t->buckets = calloc(old.n_buckets * 2, sizeof(*t->buckets));
	if (!t->buckets) {
		t->buckets = old.buckets;
		return;
	}
	t->n_buckets = old.n_buckets * 2;
	for (size_t i = 0; i < old.n_buckets; i++) {
		for (node = old.buckets[i]; node; node = next) {
			next = node->next;
			push(t, node);
		}
	}
	free(old.buckets);
}

void hashtab_insert(struct hashtab *t, struct hashtab_node *node, uint32_t hash)
{
	if (t->n_nodes >= t->n_buckets)
		grow(t);
	node->hash = hash;
	push(t, node);
	t->n_nodes++;
}

void hashtab_remove(struct hashtab *t, struct hashtab_node *node)
{
	struct hashtab_node **link = bucket_of(t, node->hash);

	while (*link && *link != node)
		link = &(*link)->next;
	assert(*link == node);
	*link = node->next;
	t->n_nodes--;
}

uint32_t hashtab_mix(uint32_t hash, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	hash ^= 2166136261u;
	do
		hash = (hash ^ *s) * 16777619u;
	while (*s++);
	return hash;
}
