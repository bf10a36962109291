/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_WATCHER_H
#define SEGMENT_WATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/calls.h"
#include "base/channel.h"
#include "beat/dom2beat.h"
#include "segment/allow.h"
#include "segment/quota.h"

struct watcher;

struct watcher_registry {
	const char *name;
	const char *namespace_id; /* of instances that name none */
};

/* What the composition root gives the watcher; texts and pointers outlive it. */
struct watcher_options {
	const char *runtime_dir;
	uint32_t n_slots;
	const struct watcher_registry
		*registries; /* in the sender's order; the first is the default */
	uint32_t n_registries;
	const char *ip; /* address chosen for instances without one; NULL: none could be found */
	const char *ip_error;   /* why not, when NULL */
	uint32_t period_ms_max; /* upper bound to spread adopted beats over */
	uint32_t listen_grace_ms;
	uint32_t exec_grace_ms;
	bool force_pidfd_open;
	bool may_decline; /* the keeper has another program that can read what is there */
	struct quota_limits quotas;
	const struct allow *allow;
	struct dom2beat *map;
	struct beat_queue *to_sender;
	struct beat_queue *to_watcher;
	const struct manifest_head *manifest;
	const struct manifest_entry
		*entries; /* descriptors belong to the watcher from watcher_new() on */
	/* What tools are told: an instance changed its public state. Any text may be "". */
	void (*event)(void *ctx, const char *event, const struct descriptor *d, const char *text);
	void *event_ctx;
	/* The keeper asks whether work goes on; in the watcher's thread, which so has shown that it does. */
	void (*asked)(void *ctx, uint64_t id);
	void *asked_ctx;
	/* The keeper has got SIGHUP; in the watcher's thread. */
	void (*reread)(void *ctx);
	void *reread_ctx;
};

/* What tools show of the watcher; counted by it, read by anyone. */
struct watcher_counts {
	_Atomic uint32_t leases;
	_Atomic uint32_t slots;
	_Atomic uint32_t adopted;
	_Atomic uint32_t refused;     /* slots whose newest version is */
	_Atomic uint64_t looks;       /* slots that were looked at */
	_Atomic uint32_t turned_away; /* acts that a quota or the allow-list forbade */
};

/*
 * Adopts what manifest and journal tell. 0 or a negative errno, -EPROTO when the journal is another release's and we
 * may decline; *out is NULL then, and descriptors that it had not come to take over are still open: an agent that
 * has no watcher ends.
 */
int watcher_new(struct watcher **out, const struct watcher_options *options);
struct watcher *watcher_free(struct watcher *w);

#define WATCHER_YIELDS 1

/*
 * Runs until told to stop, in the calling thread, which must be registered with liburcu. Returns the keeper's
 * exit status to be (0); WATCHER_YIELDS: another agent follows; or a negative errno, -EPIPE when the keeper is gone
 * (stop sending, deregister nothing).
 */
int watcher_run(struct watcher *w);

/* For other threads' calls_do(): the owner that their functions get is the watcher. */
struct calls *watcher_calls(struct watcher *w);

/* The following only in the watcher's thread, that is, inside calls_do(). */
void watcher_stop(struct watcher *w);
/* Withdraws every instance; done(ctx, n_deregistered, n_failed) is called from the watcher's thread when all are gone or
 * time_ms is over. */
void watcher_leave(struct watcher *w, uint32_t time_ms,
		   void (*done)(void *ctx, uint32_t n_deregistered, uint32_t n_failed), void *ctx);
struct watcher_refusal {
	pid_t pid;
	uid_t uid;
	const char *program;
	const char *service; /* of the last good descriptor; "" when there is none */
	const char *text;
	uint32_t n; /* so many times; the rest is of the last one */
};
void watcher_each_refusal(struct watcher *w, void (*fn)(void *ctx, const struct watcher_refusal *r),
			  void *ctx);

const struct watcher_counts *watcher_counts(const struct watcher *w);
/* The journal, for the sender's records. */
struct journal *watcher_journal(struct watcher *w);

#endif
