/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_STORE_H
#define REGISTRY_STORE_H

#include "hashtab.h"
#include "metamap.h"
#include "overlay.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct mode;

enum {
	STORE_BEAT_INTERVAL_MS = 5000,
	STORE_BEAT_TIMEOUT_MS = 15000,
	STORE_DELETE_TIMEOUT_MS = 30000,
	STORE_TICK_MS = 5000,
	STORE_EMPTY_SERVICE_MS = 120000,
};

enum {
	STORE_OTHER_KIND = 1
};

TAILQ_HEAD(store_services, store_service);
TAILQ_HEAD(store_instances, store_instance);

struct store_service {
	struct hashtab_node node;
	TAILQ_ENTRY(store_service) link;  /* all services, oldest first */
	TAILQ_ENTRY(store_service) empty; /* those without instances, by empty_since_ms */
	struct store_instances instances;
	size_t n_instances;
	uint64_t revision; /* counts changes of what a list shows */
	uint64_t empty_since_ms;
	bool ephemeral; /* the kind, where a service has one */
	char *namespace_id;
	char *name; /* GROUP@@name */
};

struct store_instance {
	struct hashtab_node node;
	TAILQ_ENTRY(store_instance) link; /* of its service */
	TAILQ_ENTRY(store_instance) tick; /* ephemeral only: by next_tick_ms */
	struct store_service *service;
	char *ip;
	char *cluster;
	int port;
	double weight;
	bool enabled;
	bool healthy;
	bool ephemeral;
	struct metamap metadata;
	struct overlay *overlay; /* laid over what was registered, which is then: */
	char *own_json;
	double own_weight;
	bool own_enabled;
	uint64_t last_beat_ms;
	uint64_t next_tick_ms;
};

struct store_key {
	const char *namespace_id;
	const char *service; /* GROUP@@name */
	const char *cluster; /* part of the identity in some modes */
	const char *ip;
	int port;
	bool ephemeral;
};

struct store {
	const struct mode *mode;
	struct hashtab services;
	struct hashtab instances;
	struct store_services all;
	struct store_services empties;
	struct store_instances ticks;
	struct overlays overlays;
	/* Told of each instance before silence removes it; may be NULL. */
	void (*on_expiry)(void *context, const struct store_key *key);
	void *on_expiry_context;
};

struct store_spec {
	struct store_key key;
	double weight;
	bool enabled;
	bool healthy;
	struct metamap metadata;
};

/* What an update says; NULL is what it leaves alone. */
struct store_update {
	const bool *enabled;
	const double *weight;
	struct metamap *metadata; /* moved */
};

/* Returns 0 or -ENOMEM. */
int store_init(struct store *s, const struct mode *mode);
void store_deinit(struct store *s);
/* Forgets all, as a restart does. */
void store_clear(struct store *s);
/* Becomes a copy of another store. Returns 0 or -ENOMEM, with a part of the instances. */
int store_copy(struct store *s, const struct store *from);
/* Becomes another server with the same instances; of two that are one there, the older goes. */
void store_set_mode(struct store *s, const struct mode *mode, uint64_t now_ms);

struct store_service *store_service(const struct store *s, const char *namespace_id,
				    const char *name);
struct store_instance *store_find(const struct store *s, const struct store_key *key);

/* Adds or replaces; moves the metadata out of spec. Returns 0; STORE_OTHER_KIND: the service
 * holds the other kind of instance; or -ENOMEM, with the instances as they were. */
int store_put(struct store *s, struct store_spec *spec, uint64_t now_ms);
/* Lays an update over the instance of that key and cluster, be it there or not. Returns 0 or
 * -ENOMEM. */
int store_lay_over(struct store *s, const struct store_key *key, const struct store_update *update,
		   uint64_t now_ms);
void store_beat(struct store_instance *inst, uint64_t now_ms);
void store_remove(struct store *s, struct store_instance *inst, uint64_t now_ms);

/* Does what has become due; returns the time of the next due thing, UINT64_MAX for none. */
uint64_t store_tick(struct store *s, uint64_t now_ms);

#endif
