/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_DOM2BEAT_H
#define BEAT_DOM2BEAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <urcu.h>
#include <urcu/rculfhash.h>

#include "base/descriptor.h"
#include "beat/beat.h"
#include "beat/queue.h"

struct onebeat_status_line;

/* Identity of an instance: what dom2Beat is keyed by. Texts are borrowed. */
struct dom2beat_key {
	const char *registry;
	const char *namespace_id;
	const char *group;
	const char *service;
	const char *ip;
	uint16_t port;
};

/* One holder, as tools show it. */
struct dom2beat_holder {
	pid_t pid;
	uid_t uid;
	uint8_t policy;   /* enum onebeat_policy */
	bool attached;    /* its lease is open; else its process is watched */
	char program[16]; /* comm */
	/* Of its slot, for the sender's beat time; NULL for an adopted one without. */
	struct onebeat_status_line *line;
};

/* Immutable; replaced as a whole by the watcher whenever descriptor or holders change. */
struct dom2beat_node {
	struct cds_lfht_node lfht;
	struct rcu_head rcu;
	struct beat *beat;
	struct descriptor
		*descriptor; /* in force; one reference; ip, namespace and registry filled in */
	uint32_t version;    /* +1 with each change that the registry must see */
	uint32_t n_holders;
	struct dom2beat_holder holders[];
};

struct dom2beat {
	struct cds_lfht *table;
	_Atomic uint64_t size; /* the gauge dom2BeatSize: beats in the map */
};

/* 0 or -ENOMEM. */
int dom2beat_init(struct dom2beat *map);
/*
 * Makes room for n instances at once, for who knows that they come. Watcher only, not reading. The map
 * works without.
 */
void dom2beat_reserve(struct dom2beat *map, uint32_t n);
/*
 * When no other thread uses the map or a beat any more: frees what is still in it, and returns when
 * all that call_rcu still owed is freed. Idempotent; takes a zeroed map. A registered thread, not
 * reading.
 */
void dom2beat_deinit(struct dom2beat *map);

/* Differs from one process to the next. Any thread. */
uint32_t dom2beat_hash(const struct dom2beat_key *key);
void dom2beat_key_of(const struct descriptor *d, struct dom2beat_key *out);

/* Under rcu_read_lock(), any registered thread. NULL when absent. */
struct dom2beat_node *dom2beat_find(struct dom2beat *map, const struct dom2beat_key *key);
/* Likewise: calls fn for every node, in no order. */
void dom2beat_each(struct dom2beat *map, void (*fn)(void *ctx, const struct dom2beat_node *node),
		   void *ctx);

/*
 * Watcher only. A new node with a copy of holders, taking a reference on d; not in the map yet.
 * NULL: memory.
 */
struct dom2beat_node *dom2beat_node_new(struct beat *beat, struct descriptor *d, uint32_t version,
					const struct dom2beat_holder *holders, uint32_t n_holders);
/*
 * Watcher only. Puts node in, or in the place of the beat's present node, which is freed after a
 * grace period.
 */
void dom2beat_set(struct dom2beat *map, struct dom2beat_node *node);
/*
 * Watcher only, once the sender has let go of the beat: takes its node out, frees node and beat
 * after a grace period.
 */
void dom2beat_remove(struct dom2beat *map, struct beat *beat);

#endif
