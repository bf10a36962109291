/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_HANDLE_H
#define ONEBEAT_HANDLE_H

#include <pthread.h>
#include <stdbool.h>

#include <onebeat/lease.h>
#include <onebeat/onebeat.h>

#include "encode.h"
#include "lease_fd.h"
#include "place.h"
#include "runtime_dir.h"
#include "segment_map.h"

#define HANDLE_N_SPARES 4u

enum handle_link {
	LINK_DETACHED = 0, /* no connection */
	LINK_GREETED = 1,  /* HELLO is sent, WELCOME has not come */
	LINK_ATTACHED = 2
};

struct onebeat_instance {
	onebeat_word magic; /* set while the caller may use it */
	struct onebeat *ob;
	struct onebeat_instance
		*next; /* the same in the next registry that it names; NULL: no more */
	char registry[ONEBEAT_REGISTRY_MAX + 1]; /* where the spec names several: which one this is */
	uint32_t n_refs;                         /* of the first */
	uint32_t serial; /* tells one registration in this place from the next */
	struct place place;
	onebeat_word refused; /* the agent grants it no slot, because: */
	onebeat_word why[ONEBEAT_STATUS_TEXT_WORDS];
	onebeat_word since_ms; /* CLOCK_BOOTTIME: its registration */
	uint32_t cookie; /* of HELLO or ASK that carries its descriptor and is unanswered; else 0 */
	uint32_t ask_class;
	uint64_t ask_due_ms; /* not asked (again) before */
	bool used;
	bool leaving; /* deregistered, but an agent may know it: withdrawn as soon as there is a slot */
	bool told; /* an agent may know it */
	_Atomic bool
		dirty; /* the descriptor is not the one that is published; read without the lock */
	bool changed;  /* the descriptor is not the one that was asked with */
	bool waited;   /* a call has waited in vain for this answer: no further one does */
	struct encoded descriptor;
};

struct onebeat {
	onebeat_word magic;
	const volatile uint32_t *alive; /* on a page that a fork wipes */
	void *arena;
	size_t arena_size;
	pthread_mutex_t lock; /* of all below, but for atomic words; forked children never touch it */
	uint32_t timeout_ms;
	uint32_t flags;
	struct runtime_dir dir;
	struct lease_fd lease;
	onebeat_word link; /* enum handle_link */
	onebeat_word link_since_ms;
	int fault; /* why the last attempt to attach ended, when that was more than absence */
	uint64_t attach_due_ms;
	uint64_t look_due_ms;  /* the socket is looked at, at the latest */
	uint64_t ahead_due_ms; /* until then the unasked grant is waited for; 0: none is due */
	uint32_t last_cookie;
	uint32_t hello_cookie; /* 0: HELLO carried no descriptor */
	uint32_t last_serial;
	uint32_t n_asked[ONEBEAT_N_CLASSES];
	struct segment_map map;
	struct onebeat_grant spares[HANDLE_N_SPARES];
	uint32_t n_spares;
	uint32_t message[ONEBEAT_LEASE_MSG_MAX / 4]; /* one that is being sent */
	struct encoded draft;
	uint32_t n_instances; /* of the table, used or not */
	struct onebeat_instance instances[];
};

/* Both take the lock and return 0, or ONEBEAT_E_HANDLE or ONEBEAT_E_FORKED without it. */
int onebeat__handle_enter(struct onebeat *ob);
int onebeat__handle_enter_instance(const struct onebeat_instance *inst);
void onebeat__handle_leave(struct onebeat *ob);
/* Is it an instance in use? Without the lock, in forked children too. */
bool onebeat__handle_is_instance(const struct onebeat_instance *inst);
void onebeat__handle_show(struct onebeat_instance *inst, bool shown);

static inline uint32_t handle_link(const struct onebeat *ob)
{
	return atomic_load_explicit(&ob->link, memory_order_relaxed);
}

static inline bool handle_is_placed(const struct onebeat_instance *inst)
{
	return place_slot(&inst->place) != ONEBEAT_NO_SLOT;
}

#endif
