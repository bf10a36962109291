/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlays
 *
 * Version 2 and later do not change an instance when they are asked to update one: they keep what
 * was said beside it, by service and ip:port:cluster, and lay it over whatever is registered there.
 * It outlives the instance by a minute, and then goes.
 */
#include "overlay.h"

#include "store.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int overlay_init(struct overlays *o)
{
	TAILQ_INIT(&o->used);
	TAILQ_INIT(&o->unused);
	return hashtab_init(&o->table);
}

static struct overlay_queue *queue_of(struct overlays *o, const struct overlay *overlay)
{
	return overlay->in_use ? &o->used : &o->unused;
}

static void drop(struct overlays *o, struct overlay *overlay)
{
	hashtab_remove(&o->table, &overlay->node);
	TAILQ_REMOVE(queue_of(o, overlay), overlay, link);
	metamap_deinit(&overlay->metadata);
	free(overlay->name);
	free(overlay);
}

void overlay_clear(struct overlays *o)
{
	struct overlay *overlay;

	while ((overlay = TAILQ_FIRST(&o->used)) != NULL)
		drop(o, overlay);
	while ((overlay = TAILQ_FIRST(&o->unused)) != NULL)
		drop(o, overlay);
}

void overlay_deinit(struct overlays *o)
{
	if (o->table.buckets)
		overlay_clear(o);
	hashtab_deinit(&o->table);
}

static char *name_of(const struct store_key *key)
{
	char *name;

	return asprintf(&name, "%s\n%s\n%s\n%d\n%s", key->namespace_id, key->service, key->ip,
			key->port, key->cluster) < 0
		       ? NULL
		       : name;
}

static struct overlay *find(const struct overlays *o, const char *name)
{
	struct hashtab_node *n = hashtab_first(&o->table, hashtab_mix(0, name));
	struct overlay *overlay;

	for (; n; n = hashtab_next(n)) {
		overlay = (struct overlay *)((char *)n - offsetof(struct overlay, node));
		if (strcmp(overlay->name, name) == 0)
			return overlay;
	}
	return NULL;
}

struct overlay *overlay_find(const struct overlays *o, const struct store_key *key)
{
	struct overlay *overlay;
	char *name;

	if (!o->table.n_nodes)
		return NULL;
	name = name_of(key);
	overlay = name ? find(o, name) : NULL;
	free(name);
	return overlay;
}

struct overlay *overlay_get(struct overlays *o, const struct store_key *key, uint64_t now_ms)
{
	struct overlay *overlay = overlay_find(o, key);

	if (overlay)
		return overlay;
	overlay = calloc(1, sizeof(*overlay));
	if (!overlay)
		return NULL;
	overlay->name = name_of(key);
	if (!overlay->name) {
		free(overlay);
		return NULL;
	}
	overlay->unused_since_ms = now_ms;
	hashtab_insert(&o->table, &overlay->node, hashtab_mix(0, overlay->name));
	TAILQ_INSERT_TAIL(&o->unused, overlay, link);
	return overlay;
}

void overlay_use(struct overlays *o, struct overlay *overlay, bool in_use, uint64_t now_ms)
{
	TAILQ_REMOVE(queue_of(o, overlay), overlay, link);
	overlay->in_use = in_use;
	overlay->unused_since_ms = now_ms;
	TAILQ_INSERT_TAIL(queue_of(o, overlay), overlay, link);
}

uint64_t overlay_tick(struct overlays *o, uint64_t now_ms)
{
	struct overlay *overlay;

	while ((overlay = TAILQ_FIRST(&o->unused)) != NULL &&
	       now_ms - overlay->unused_since_ms >= OVERLAY_KEPT_MS)
		drop(o, overlay);
	return overlay ? overlay->unused_since_ms + OVERLAY_KEPT_MS : UINT64_MAX;
}
