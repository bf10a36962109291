/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_DESCRIPTOR_H
#define BASE_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

struct descriptor_pair {
	const char *key;
	const char *value;
};

/*
 * What an instance is: decoded, validated, immutable, one allocation, counted references (atomic, any
 * thread). Texts are never NULL; defaults are filled in, except ip, which is "" when the client left it out.
 */
struct descriptor {
	uint32_t n_refs;
	const char *registry;     /* "" for the first one */
	const char *namespace_id; /* "" for the registry's default */
	const char *group;
	const char *service;
	const char *cluster;
	const char *ip;
	uint16_t port;
	bool enabled;
	bool ephemeral;
	bool when_listening;
	uint8_t policy; /* enum onebeat_policy */
	double weight;
	uint32_t beat_ms; /* never 0 */
	uint32_t progress_timeout_ms;
	uint32_t n_metadata;
	struct descriptor_pair metadata[];
};

#define DESCRIPTOR_BEAT_MS_DEFAULT 5000u

/*
 * Copies *from, its texts and pairs (metadata apart, because *from may be a local without room for them)
 * into a new descriptor with one reference. NULL when memory is out.
 */
struct descriptor *descriptor_new(const struct descriptor *from,
				  const struct descriptor_pair *metadata, uint32_t n_metadata);
struct descriptor *descriptor_ref(struct descriptor *d);
/* Takes NULL, returns NULL. */
struct descriptor *descriptor_unref(struct descriptor *d);

/* A copy with another ip, namespace, registry or enabled flag; NULL text: as before. NULL when memory is out. */
struct descriptor *descriptor_with(const struct descriptor *d, const char *registry,
				   const char *namespace_id, const char *ip, bool enabled);
/* The same in all that the registry sees. */
bool descriptor_equal(const struct descriptor *a, const struct descriptor *b);
/* A digest of that, without the key that it stands under; never 0. Kept in journals: it may not change. */
uint32_t descriptor_digest(const struct descriptor *d);

#endif
