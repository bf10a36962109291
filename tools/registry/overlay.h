/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_OVERLAY_H
#define REGISTRY_OVERLAY_H

#include "hashtab.h"
#include "metamap.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct store_key;

enum {
	OVERLAY_KEPT_MS = 60000 /* without an instance */
};

TAILQ_HEAD(overlay_queue, overlay);

/* What an operator laid over an instance; it wins over every registration. */
struct overlay {
	struct hashtab_node node;
	TAILQ_ENTRY(overlay) link;
	char *name;
	struct metamap metadata;
	bool has_enabled, enabled;
	bool has_weight;
	double weight;
	bool in_use; /* there is such an instance */
	uint64_t unused_since_ms;
};

struct overlays {
	struct hashtab table;
	struct overlay_queue used;
	struct overlay_queue unused; /* by unused_since_ms */
};

/* Returns 0 or -ENOMEM. */
int overlay_init(struct overlays *o);
void overlay_deinit(struct overlays *o);
void overlay_clear(struct overlays *o);

struct overlay *overlay_find(const struct overlays *o, const struct store_key *key);
/* Finds or adds one; NULL without memory. */
struct overlay *overlay_get(struct overlays *o, const struct store_key *key, uint64_t now_ms);
/* Tells whether its instance is there. */
void overlay_use(struct overlays *o, struct overlay *overlay, bool in_use, uint64_t now_ms);
/* Forgets what has been unused for too long; returns when the next will have, or UINT64_MAX. */
uint64_t overlay_tick(struct overlays *o, uint64_t now_ms);

#endif
