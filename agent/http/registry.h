/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_REGISTRY_H
#define HTTP_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "beat/beat.h"
#include "beat/pace.h"
#include "http/access.h"
#include "http/beat_lane.h"
#include "http/nodes.h"
#include "http/registry_options.h"
#include "http/route.h"
#include "http/request_lane.h"
#include "http/servers.h"
#include "nacos/choice.h"
#include "nacos/request.h"

/* Counted by the sender's thread, read by anyone. */
struct sender_counts {
	_Atomic uint64_t beats_sent;
	_Atomic uint64_t beats_acknowledged;
	_Atomic uint64_t beats_failed;
	_Atomic uint64_t registers;
	_Atomic uint64_t deregisters;
	_Atomic uint64_t requests_failed;
};

/* Who hears of ends: both are called with ctx and the beat as tag. */
struct registry_ends {
	http_done_fn write_done;
	http_done_fn beat_done;
	void *ctx;
};

/* One registry as the sender sees it. Must not move between init and deinit. */
struct registry {
	struct sender_registry_options options;
	struct nacos_choice choice;
	struct nacos_api api;   /* what it is spoken to in now */
	struct pace posts;      /* turns to register again */
	struct pace late_beats; /* turns to beat after a sleep */
	struct sender_counts counts;
	struct http_nodes nodes;
	struct servers servers;
	struct route route;
	struct registry_ends ends;
	struct https_link link;
	struct access access;
	struct request_lane *requests;
	struct beat_lane *beats;
	char target[NACOS_TARGET_MAX + ACCESS_PARAMS_MAX];
};

/* 0 or a negative errno; registry_deinit() in any case. loop outlives it. */
int registry_init(struct registry *r, const struct sender_registry_options *options,
		  struct loop *loop, const struct registry_ends *ends);
void registry_deinit(struct registry *r);

/*
 * A server has answered a request that was sent in this API that it does not speak it. True: it is to be sent
 * again at once. False: nothing better can be asked now.
 */
bool registry_no_api(struct registry *r, enum nacos_version asked, uint64_t now_ms);

/*
 * A server has refused a request for want of rights. True: a login is on its way, and the request is to be sent
 * again at once, to wait for it here.
 */
bool registry_denied(struct registry *r, uint64_t now_ms);
/*
 * Reads the secrets anew, as after a reload. A negative errno: one cannot be had, the log says why, and all goes
 * on as before. The sender's thread.
 */
int registry_set_login(struct registry *r, const struct registry_login *login, uint64_t now_ms);

/* When it is the turn of one of many instances that may all have the same to send. */
uint64_t registry_turn(struct registry *r, enum machine_pace pace, uint64_t now_ms);

/*
 * Renders a request of the beat's instance and gives it to a lane, in one of whose later turns its end is told.
 * A negative errno: there is no memory, and none will be told.
 */
int registry_write(struct registry *r, struct beat *beat, enum machine_request what,
		   uint32_t serial);
/* Not written before registry_flush(). */
int registry_beat(struct registry *r, struct beat *beat, enum machine_request what,
		  uint32_t serial);
void registry_flush(struct registry *r, uint64_t now_ms);

void registry_tick(struct registry *r, uint64_t now_ms);
uint64_t registry_due_ms(const struct registry *r);

static inline void registry_count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
