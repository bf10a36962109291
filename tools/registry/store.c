/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services, instances and their expiry
 *
 * Reads no clock: every call is given the time, in milliseconds of the registry's own clock,
 * which may run faster than the wall's. Services are hashed by namespace and grouped name,
 * instances by service, ip and port (and cluster, in the mode where that is part of them), with
 * ephemeral and persistent ones apart.
 *
 * An ephemeral instance is looked at every five seconds from its registration on, and only then
 * found unhealthy or removed, as official servers do it: verdicts come up to a tick late and
 * time-outs shorter than a tick act as one. All ticks being equally long, instances that are
 * queued again behind the others after each look are always in the order of their next look, so
 * the queue is the timer. Persistent instances are never looked at: an official server probes
 * them, this one believes what they were registered with.
 *
 * A service stays for two minutes after its last instance, with its kind. Instances belong to
 * their service, services to the store.
 */
#include "store.h"

#include "mode.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static struct store_service *service_of(struct hashtab_node *node)
{
	return (struct store_service *)((char *)node - offsetof(struct store_service, node));
}

static struct store_instance *instance_of(struct hashtab_node *node)
{
	return (struct store_instance *)((char *)node - offsetof(struct store_instance, node));
}

int store_init(struct store *s, const struct mode *mode)
{
	*s = (struct store){ .mode = mode };
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->empties);
	TAILQ_INIT(&s->ticks);
	if (hashtab_init(&s->services) != 0 || hashtab_init(&s->instances) != 0 ||
	    overlay_init(&s->overlays) != 0) {
		store_deinit(s);
		return -ENOMEM;
	}
	return 0;
}

static void free_service(struct store_service *svc)
{
	free(svc->namespace_id);
	free(svc->name);
	free(svc);
}

static void free_instance(struct store_instance *inst)
{
	metamap_deinit(&inst->metadata);
	free(inst->own_json);
	free(inst->ip);
	free(inst->cluster);
	free(inst);
}

void store_clear(struct store *s)
{
	struct store_service *svc;
	struct store_instance *inst;

	while ((svc = TAILQ_FIRST(&s->all)) != NULL) {
		TAILQ_REMOVE(&s->all, svc, link);
		hashtab_remove(&s->services, &svc->node);
		while ((inst = TAILQ_FIRST(&svc->instances)) != NULL) {
			TAILQ_REMOVE(&svc->instances, inst, link);
			hashtab_remove(&s->instances, &inst->node);
			free_instance(inst);
		}
		free_service(svc);
	}
	TAILQ_INIT(&s->empties);
	TAILQ_INIT(&s->ticks);
	overlay_clear(&s->overlays);
}

void store_deinit(struct store *s)
{
	store_clear(s);
	overlay_deinit(&s->overlays);
	hashtab_deinit(&s->services);
	hashtab_deinit(&s->instances);
}

static uint32_t service_hash(const char *namespace_id, const char *name)
{
	return hashtab_mix(hashtab_mix(0, namespace_id), name);
}

struct store_service *store_service(const struct store *s, const char *namespace_id,
				    const char *name)
{
	struct hashtab_node *n = hashtab_first(&s->services, service_hash(namespace_id, name));
	struct store_service *svc;

	for (; n; n = hashtab_next(n)) {
		svc = service_of(n);
		if (strcmp(svc->name, name) == 0 && strcmp(svc->namespace_id, namespace_id) == 0)
			return svc;
	}
	return NULL;
}

static uint32_t instance_hash(const struct store *s, const struct store_key *key)
{
	uint32_t hash = service_hash(key->namespace_id, key->service);

	hash = hashtab_mix(hash, key->ip) ^ (uint32_t)key->port * 2654435761u;
	return s->mode->key_has_cluster ? hashtab_mix(hash, key->cluster) : hash;
}

static bool is_same(const struct store *s, const struct store_instance *inst,
		    const struct store_key *key)
{
	return inst->port == key->port && inst->ephemeral == key->ephemeral &&
	       strcmp(inst->ip, key->ip) == 0 && strcmp(inst->service->name, key->service) == 0 &&
	       strcmp(inst->service->namespace_id, key->namespace_id) == 0 &&
	       (!s->mode->key_has_cluster || strcmp(inst->cluster, key->cluster) == 0);
}

struct store_instance *store_find(const struct store *s, const struct store_key *key)
{
	struct hashtab_node *n = hashtab_first(&s->instances, instance_hash(s, key));

	while (n && !is_same(s, instance_of(n), key))
		n = hashtab_next(n);
	return n ? instance_of(n) : NULL;
}

static struct store_service *add_service(struct store *s, const struct store_key *key,
					 uint64_t now_ms)
{
	struct store_service *svc = calloc(1, sizeof(*svc));

	if (!svc)
		return NULL;
	svc->namespace_id = strdup(key->namespace_id);
	svc->name = strdup(key->service);
	if (!svc->namespace_id || !svc->name) {
		free_service(svc);
		return NULL;
	}
	TAILQ_INIT(&svc->instances);
	svc->ephemeral = key->ephemeral;
	svc->empty_since_ms = now_ms;
	hashtab_insert(&s->services, &svc->node, service_hash(key->namespace_id, key->service));
	TAILQ_INSERT_TAIL(&s->all, svc, link);
	TAILQ_INSERT_TAIL(&s->empties, svc, empty);
	return svc;
}

static void remove_service(struct store *s, struct store_service *svc)
{
	hashtab_remove(&s->services, &svc->node);
	TAILQ_REMOVE(&s->all, svc, link);
	TAILQ_REMOVE(&s->empties, svc, empty);
	free_service(svc);
}

static struct store_instance *add_instance(struct store *s, const struct store_key *key,
					   struct store_service *svc, uint64_t now_ms)
{
	struct store_instance *inst = calloc(1, sizeof(*inst));

	if (!inst)
		return NULL;
	inst->ip = strdup(key->ip);
	inst->cluster = strdup(key->cluster);
	if (!inst->ip || !inst->cluster) {
		free_instance(inst);
		return NULL;
	}
	inst->service = svc;
	inst->port = key->port;
	inst->ephemeral = key->ephemeral;
	hashtab_insert(&s->instances, &inst->node, instance_hash(s, key));
	TAILQ_INSERT_TAIL(&svc->instances, inst, link);
	if (svc->n_instances++ == 0)
		TAILQ_REMOVE(&s->empties, svc, empty);
	if (inst->ephemeral) {
		inst->next_tick_ms = now_ms + STORE_TICK_MS;
		TAILQ_INSERT_TAIL(&s->ticks, inst, tick);
	}
	return inst;
}

/* Where the cluster is not part of the identity, registering again may move an instance. */
static int set_cluster(struct store_instance *inst, const char *cluster)
{
	char *copy;

	if (strcmp(inst->cluster, cluster) == 0)
		return 0;
	copy = strdup(cluster);
	if (!copy)
		return -ENOMEM;
	free(inst->cluster);
	inst->cluster = copy;
	return 0;
}

static struct store_key key_of(const struct store_instance *inst)
{
	return (struct store_key){
		.namespace_id = inst->service->namespace_id,
		.service = inst->service->name,
		.cluster = inst->cluster,
		.ip = inst->ip,
		.port = inst->port,
		.ephemeral = inst->ephemeral,
	};
}

/* What is listed: what was registered, with the overlay on it. */
static int show_overlay(struct store_instance *inst)
{
	const struct overlay *o = inst->overlay;
	struct metamap merged;
	int r = metamap_merge(&merged, inst->own_json, metamap_json(&o->metadata));

	if (r != 0)
		return r;
	metamap_deinit(&inst->metadata);
	inst->metadata = merged;
	inst->weight = o->has_weight ? o->weight : inst->own_weight;
	inst->enabled = o->has_enabled ? o->enabled : inst->own_enabled;
	return 0;
}

/* Takes up the overlay of an instance that has just been registered, or has just got one. */
static int find_overlay(struct store *s, struct store_instance *inst, bool is_registered,
			uint64_t now_ms)
{
	struct store_key key = key_of(inst);
	struct overlay *o = overlay_find(&s->overlays, &key), *old = inst->overlay;

	if (old && old != o)
		overlay_use(&s->overlays, old, false, now_ms);
	inst->overlay = o;
	if (!o)
		return 0;
	overlay_use(&s->overlays, o, true, now_ms);
	if (is_registered || !old) {
		free(inst->own_json);
		inst->own_json = strdup(metamap_json(&inst->metadata));
		inst->own_weight = inst->weight;
		inst->own_enabled = inst->enabled;
	}
	return inst->own_json ? show_overlay(inst) : -ENOMEM;
}

int store_put(struct store *s, struct store_spec *spec, uint64_t now_ms)
{
	struct store_service *svc = store_service(s, spec->key.namespace_id, spec->key.service);
	struct store_instance *inst = svc ? store_find(s, &spec->key) : NULL;
	bool is_new = !inst;

	if (svc && s->mode->one_kind && svc->ephemeral != spec->key.ephemeral)
		return STORE_OTHER_KIND;
	if (!svc)
		svc = add_service(s, &spec->key, now_ms);
	if (svc && is_new)
		inst = add_instance(s, &spec->key, svc, now_ms);
	if (!inst || set_cluster(inst, spec->key.cluster) != 0)
		return -ENOMEM; /* a service without instances goes by itself */

	if (is_new || !s->mode->post_keeps_health)
		inst->healthy = spec->healthy;
	inst->enabled = spec->enabled;
	inst->weight = spec->weight;
	inst->last_beat_ms = now_ms;
	metamap_deinit(&inst->metadata);
	inst->metadata = spec->metadata;
	spec->metadata = (struct metamap)METAMAP_NULL;
	svc->revision++;
	return find_overlay(s, inst, true, now_ms);
}

int store_lay_over(struct store *s, const struct store_key *key, const struct store_update *update,
		   uint64_t now_ms)
{
	struct overlay *o = overlay_get(&s->overlays, key, now_ms);
	struct store_instance *inst = store_find(s, key);

	if (!o)
		return -ENOMEM;
	if (update->enabled)
		o->enabled = *update->enabled;
	if (update->weight)
		o->weight = *update->weight;
	o->has_enabled |= update->enabled != NULL;
	o->has_weight |= update->weight != NULL;
	if (update->metadata) {
		metamap_deinit(&o->metadata);
		o->metadata = *update->metadata;
		*update->metadata = (struct metamap)METAMAP_NULL;
	}
	if (!inst || strcmp(inst->cluster, key->cluster) != 0)
		return 0;
	inst->service->revision++;
	return find_overlay(s, inst, false, now_ms);
}

void store_beat(struct store_instance *inst, uint64_t now_ms)
{
	if (!inst->ephemeral)
		return;
	inst->last_beat_ms = now_ms;
	if (!inst->healthy) {
		inst->healthy = true;
		inst->service->revision++;
	}
}

void store_remove(struct store *s, struct store_instance *inst, uint64_t now_ms)
{
	struct store_service *svc = inst->service;

	hashtab_remove(&s->instances, &inst->node);
	TAILQ_REMOVE(&svc->instances, inst, link);
	if (inst->ephemeral)
		TAILQ_REMOVE(&s->ticks, inst, tick);
	if (inst->overlay)
		overlay_use(&s->overlays, inst->overlay, false, now_ms);
	svc->revision++;
	if (--svc->n_instances == 0) {
		svc->empty_since_ms = now_ms;
		TAILQ_INSERT_TAIL(&s->empties, svc, empty);
	}
	free_instance(inst);
}

/* The key of an instance is another in another mode: all are hashed anew. */
void store_set_mode(struct store *s, const struct mode *mode, uint64_t now_ms)
{
	struct store_service *svc;
	struct store_instance *inst, *next, *twin;
	struct store_key key;

	TAILQ_FOREACH(svc, &s->all, link)
	TAILQ_FOREACH(inst, &svc->instances, link)
	hashtab_remove(&s->instances, &inst->node);
	s->mode = mode;
	TAILQ_FOREACH(svc, &s->all, link)
	{
		for (inst = TAILQ_FIRST(&svc->instances); inst; inst = next) {
			next = TAILQ_NEXT(inst, link);
			key = key_of(inst);
			twin = store_find(s, &key);
			hashtab_insert(&s->instances, &inst->node, instance_hash(s, &key));
			if (twin)
				store_remove(s, twin, now_ms);
		}
	}
}

static int copy_instance(struct store *s, const struct store_instance *from)
{
	struct store_spec spec = { .key = key_of(from) };
	struct store_instance *inst;
	int r;

	spec.weight = from->weight;
	spec.enabled = from->enabled;
	spec.healthy = from->healthy;
	r = metamap_parse(&spec.metadata, metamap_json(&from->metadata));
	if (r == 0)
		r = store_put(s, &spec, from->last_beat_ms);
	metamap_deinit(&spec.metadata);
	inst = r == 0 ? store_find(s, &spec.key) : NULL;
	if (inst)
		inst->next_tick_ms = from->next_tick_ms;
	return r < 0 ? r : 0;
}

/* Ephemeral ones in the order of their ticks, which is what that queue lives by. */
int store_copy(struct store *s, const struct store *from)
{
	const struct store_service *svc;
	const struct store_instance *inst;
	int r = 0;

	store_clear(s);
	TAILQ_FOREACH(inst, &from->ticks, tick)
	r = r ? r : copy_instance(s, inst);
	TAILQ_FOREACH(svc, &from->all, link)
	TAILQ_FOREACH(inst, &svc->instances, link)
	if (!inst->ephemeral)
		r = r ? r : copy_instance(s, inst);
	return r;
}

static uint64_t limit_ms(const struct store *s, const struct metamap_time *t, uint64_t usual)
{
	return metamap_ms(t, usual, s->mode->bad_setting_is_zero ? 0 : usual);
}

enum verdict {
	FINE,
	UNHEALTHY,
	EXPIRED
};

static enum verdict judge(const struct store *s, const struct store_instance *inst,
			  uint64_t idle_ms)
{
	const struct metamap *m = &inst->metadata;
	uint64_t ttl_ms = s->mode->client_ttl_ms;

	if (ttl_ms && idle_ms > ttl_ms)
		return EXPIRED;
	if (s->mode->may_exempt && m->never_expires)
		return FINE;
	if (idle_ms > limit_ms(s, &m->delete_timeout, STORE_DELETE_TIMEOUT_MS))
		return EXPIRED;
	return idle_ms > limit_ms(s, &m->beat_timeout, STORE_BEAT_TIMEOUT_MS) ? UNHEALTHY : FINE;
}

/* The tick of the first in the queue. A tick that comes late judges as of when it was due. */
static void look_at(struct store *s, struct store_instance *inst, uint64_t now_ms)
{
	uint64_t due_ms = inst->next_tick_ms, beat_ms = inst->last_beat_ms;
	enum verdict verdict = judge(s, inst, due_ms > beat_ms ? due_ms - beat_ms : 0);

	if (verdict == EXPIRED) {
		struct store_key key = key_of(inst);

		if (s->on_expiry)
			s->on_expiry(s->on_expiry_context, &key);
		store_remove(s, inst, now_ms);
		return;
	}
	if (verdict == UNHEALTHY && inst->healthy) {
		inst->healthy = false;
		inst->service->revision++;
	}
	TAILQ_REMOVE(&s->ticks, inst, tick);
	inst->next_tick_ms += STORE_TICK_MS;
	TAILQ_INSERT_TAIL(&s->ticks, inst, tick);
}

uint64_t store_tick(struct store *s, uint64_t now_ms)
{
	struct store_instance *inst;
	struct store_service *svc;
	uint64_t next_ms = overlay_tick(&s->overlays, now_ms);

	while ((inst = TAILQ_FIRST(&s->ticks)) != NULL && inst->next_tick_ms <= now_ms)
		look_at(s, inst, now_ms);
	while ((svc = TAILQ_FIRST(&s->empties)) != NULL &&
	       now_ms - svc->empty_since_ms >= STORE_EMPTY_SERVICE_MS)
		remove_service(s, svc);

	if (inst && inst->next_tick_ms < next_ms)
		next_ms = inst->next_tick_ms;
	if (svc && svc->empty_since_ms + STORE_EMPTY_SERVICE_MS < next_ms)
		next_ms = svc->empty_since_ms + STORE_EMPTY_SERVICE_MS;
	return next_ms;
}
