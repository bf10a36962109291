/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SENDER_H
#define HTTP_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/calls.h"
#include "beat/dom2beat.h"
#include "http/registry.h"

struct sender;

/* What the journal keeps of an instance's requests. */
struct sender_progress {
	uint32_t posted;
	uint32_t acked;
	bool delete_attempted;
};

struct sender_options {
	/* At least one; beat.registry is an index into them. The array is copied. */
	const struct sender_registry_options *registries;
	uint32_t n_registries;
	struct beat_queue *to_sender;
	struct beat_queue *to_watcher;
	/* Called in the sender's thread. progress: before a write goes out and after its answer, for the journal. */
	void (*progress)(void *ctx, const struct beat *beat,
			 const struct sender_progress *progress);
	/* A beat was acknowledged; under rcu_read_lock(). */
	void (*beaten)(void *ctx, const struct dom2beat_node *node, uint64_t now_ms);
	/* The next beat's time has changed, for the journal. */
	void (*due)(void *ctx, const struct beat *beat, uint64_t due_ms);
	void *ctx;
};

/* 0 or a negative errno; *out is NULL then. */
int sender_new(struct sender **out, const struct sender_options *options);
struct sender *sender_free(struct sender *s);

/*
 * Runs in the calling thread, which must be registered with liburcu, until sender_stop(): 0. A negative errno
 * when it cannot go on.
 */
int sender_run(struct sender *s);
/* Any thread. What is in flight is dropped: nothing is deregistered. */
void sender_stop(struct sender *s);

uint32_t sender_n_registries(const struct sender *s);
const char *sender_registry_name(const struct sender *s, uint32_t registry);
const struct sender_counts *sender_counts(const struct sender *s, uint32_t registry);
/* Only in the sender's thread. */
const struct access *sender_access(const struct sender *s, uint32_t registry);
/* For calls_do(): the owner that functions get is the sender. */
struct calls *sender_calls(struct sender *s);

struct sender_node {
	const char *address;
	const char *last_error; /* "" while healthy */
	bool healthy;
	uint32_t beat_connections;
};
/* Only in the sender's thread. */
void sender_each_node(struct sender *s, uint32_t registry,
		      void (*fn)(void *ctx, const struct sender_node *node), void *ctx);

#endif
