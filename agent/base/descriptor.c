/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of instances
 *
 * A descriptor is shared by the slot that it came from, the dom2Beat node that it is in force in, and
 * whoever renders a request from it, on different threads. So it never changes, and the last reference
 * frees it. It is one allocation, texts behind the struct, because there may be a hundred thousand.
 */
#include "base/descriptor.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct packer {
	char *next;
};

static const char *pack(struct packer *p, const char *text)
{
	size_t n = strlen(text) + 1;
	char *at = p->next;

	memcpy(at, text, n);
	p->next += n;
	return at;
}

static size_t texts_size(const struct descriptor *d, const struct descriptor_pair *metadata,
			 uint32_t n_metadata)
{
	size_t n = strlen(d->registry) + strlen(d->namespace_id) + strlen(d->group) +
		   strlen(d->service) + strlen(d->cluster) + strlen(d->ip) + 6;

	for (uint32_t i = 0; i < n_metadata; i++)
		n += strlen(metadata[i].key) + strlen(metadata[i].value) + 2;
	return n;
}

struct descriptor *descriptor_new(const struct descriptor *from,
				  const struct descriptor_pair *metadata, uint32_t n_metadata)
{
	size_t head = sizeof(struct descriptor) + n_metadata * sizeof(struct descriptor_pair);
	struct descriptor *d = malloc(head + texts_size(from, metadata, n_metadata));
	struct packer p;

	if (!d)
		return NULL;
	memcpy(d, from, sizeof(*d));
	d->n_refs = 1;
	d->n_metadata = n_metadata;
	p.next = (char *)d + head;
	d->registry = pack(&p, from->registry);
	d->namespace_id = pack(&p, from->namespace_id);
	d->group = pack(&p, from->group);
	d->service = pack(&p, from->service);
	d->cluster = pack(&p, from->cluster);
	d->ip = pack(&p, from->ip);
	for (uint32_t i = 0; i < n_metadata; i++) {
		d->metadata[i].key = pack(&p, metadata[i].key);
		d->metadata[i].value = pack(&p, metadata[i].value);
	}
	return d;
}

struct descriptor *descriptor_ref(struct descriptor *d)
{
	__atomic_fetch_add(&d->n_refs, 1, __ATOMIC_RELAXED);
	return d;
}

struct descriptor *descriptor_unref(struct descriptor *d)
{
	if (d && __atomic_fetch_sub(&d->n_refs, 1, __ATOMIC_ACQ_REL) == 1)
		free(d);
	return NULL;
}

struct descriptor *descriptor_with(const struct descriptor *d, const char *registry,
				   const char *namespace_id, const char *ip, bool enabled)
{
	struct descriptor changed;

	memcpy(&changed, d, sizeof(changed));
	if (registry)
		changed.registry = registry;
	if (namespace_id)
		changed.namespace_id = namespace_id;
	if (ip)
		changed.ip = ip;
	changed.enabled = enabled;
	return descriptor_new(&changed, d->metadata, d->n_metadata);
}

static bool metadata_equal(const struct descriptor *a, const struct descriptor *b)
{
	if (a->n_metadata != b->n_metadata)
		return false;
	for (uint32_t i = 0; i < a->n_metadata; i++) {
		if (strcmp(a->metadata[i].key, b->metadata[i].key) != 0 ||
		    strcmp(a->metadata[i].value, b->metadata[i].value) != 0)
			return false;
	}
	return true;
}

bool descriptor_equal(const struct descriptor *a, const struct descriptor *b)
{
	return a->weight == b->weight && a->port == b->port && a->enabled == b->enabled &&
	       a->ephemeral == b->ephemeral && a->beat_ms == b->beat_ms &&
	       strcmp(a->registry, b->registry) == 0 &&
	       strcmp(a->namespace_id, b->namespace_id) == 0 && strcmp(a->group, b->group) == 0 &&
	       strcmp(a->service, b->service) == 0 && strcmp(a->cluster, b->cluster) == 0 &&
	       strcmp(a->ip, b->ip) == 0 && metadata_equal(a, b);
}

/* FNV-1a. */
static uint32_t add_bytes(uint32_t hash, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ at[i]) * UINT32_C(16777619);
	return hash;
}

/* With its NUL, so that texts do not run into each other. */
static uint32_t add_text(uint32_t hash, const char *text)
{
	return add_bytes(hash, text, strlen(text) + 1);
}

uint32_t descriptor_digest(const struct descriptor *d)
{
	const uint8_t flags = (uint8_t)(d->enabled | d->ephemeral << 1);
	uint32_t hash = UINT32_C(2166136261);

	hash = add_bytes(hash, &d->weight, sizeof(d->weight));
	hash = add_bytes(hash, &d->beat_ms, sizeof(d->beat_ms));
	hash = add_bytes(hash, &flags, sizeof(flags));
	hash = add_text(hash, d->cluster);
	for (uint32_t i = 0; i < d->n_metadata; i++)
		hash = add_text(add_text(hash, d->metadata[i].key), d->metadata[i].value);
	return hash ? hash : 1;
}
