/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_HASHTAB_H
#define REGISTRY_HASHTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what is kept in the table. */
struct hashtab_node {
	struct hashtab_node *next;
	uint32_t hash;
};

struct hashtab {
	struct hashtab_node **buckets;
	size_t n_buckets; /* a power of two */
	size_t n_nodes;
};

/* Returns 0 or -ENOMEM. */
int hashtab_init(struct hashtab *t);
void hashtab_deinit(struct hashtab *t);

/* Walks the chain of a hash; the caller compares keys:
 * for (n = hashtab_first(t, h); n; n = hashtab_next(n)) */
struct hashtab_node *hashtab_first(const struct hashtab *t, uint32_t hash);
struct hashtab_node *hashtab_next(const struct hashtab_node *node);

void hashtab_insert(struct hashtab *t, struct hashtab_node *node, uint32_t hash);
void hashtab_remove(struct hashtab *t, struct hashtab_node *node);

/* Mixes a string with its NUL, so that ("ab","c") and ("a","bc") differ. Start with 0. */
uint32_t hashtab_mix(uint32_t hash, const char *text);

#endif
