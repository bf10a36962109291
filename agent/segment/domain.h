/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_DOMAIN_H
#define SEGMENT_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/descriptor.h"
#include "segment/backlog.h"
#include "segment/decode.h"
#include "segment/memory.h"
#include "segment/rate.h"

struct lease;
struct instance;
struct watcher;

/* The agent's truth about a slot; shared memory shows only pub. Values are in the journal. */
enum slot_state {
	SLOT_FREE = 0,
	SLOT_GRANTED = 1, /* the lease may publish in it; nothing accepted yet */
	SLOT_LIVE = 2,    /* a hold: its last good descriptor counts */
	SLOT_LEAVING =
		3, /* the last hold of an instance whose DELETE is not done: keeps the journal's descriptor */
	SLOT_SPARE =
		4, /* withdrawn; only its lease may have it again, until its process is proven dead */
	SLOT_LOST = 5 /* a hold whose segment is lost: known from the journal, not to be drained */
};

struct slot {
	uint8_t state;
	uint8_t policy;
	bool refused;   /* the newest version was refused: why says why */
	bool stalled;   /* progress watchdog: no tick for its time-out */
	bool lingers;   /* its process is gone, but its port still listens */
	bool lost;      /* SLOT_LEAVING: was SLOT_LOST before */
	bool withdrawn; /* SLOT_LEAVING: its process took it back */
	bool gave_ip;   /* the client named the address itself */
	bool retry;     /* unstable when last looked at */
	bool spoilt;    /* what was looked at last was no valid block */
	uint32_t index;
	uint32_t generation;
	uint32_t version; /* pub value of the last good descriptor */
	uint32_t cookie;  /* of the HELLO or ASK that it answers; 0: of none */
	uint32_t tick;    /* progress counter when it last moved */
	uint64_t ticked_ms;
	uint64_t stalled_ms; /* when it was first seen stalled */
	uint64_t order;      /* acceptance stamp */
	struct domain *domain;
	struct lease *lease;
	struct slot *lease_next;
	struct instance *instance;
	struct slot *hold_next;
	struct descriptor *descriptor; /* last good, completed with defaults */
	char *why;                     /* of a refusal */
	uint32_t next_free;
};

/* One uid's segment and who has which slot of it. */
struct domain {
	struct watcher *watcher;
	uint32_t index; /* in the journal */
	uid_t uid;
	struct memory memory;
	struct slot *slots;
	uint32_t *last;                        /* pub value seen last, packed for the sweep */
	uint32_t n_high;                       /* slots at or above were never granted */
	uint32_t n_used;                       /* not FREE */
	uint32_t n_lost;                       /* pages whose loss was reported */
	uint32_t free[ONEBEAT_N_CLASSES];      /* chain of freed slots */
	uint32_t untouched[ONEBEAT_N_CLASSES]; /* first never granted one */
	uint32_t n_leases;                     /* that are of this domain */
	uint64_t used_ms;                      /* somebody said HELLO in it last */
	struct backlog backlog;                /* slots to be looked at */
	struct rate looks;                     /* the uid's updates a second */
	uint32_t n_noted;                      /* dirty bits in this turn */
	uint32_t looked_at;                    /* slot, last */
	bool held_back;                        /* its looks were used up when we went to sleep */
	uint64_t throttled_told_ms;
};

/* A new segment. 0 or a negative errno; *out is NULL then. */
int domain_new(struct domain **out, uint32_t index, uid_t uid, uint32_t n_slots);
/* Over memfds of a predecessor (consumed). */
int domain_adopt(struct domain **out, uint32_t index, uid_t uid, uint32_t n_slots,
		 const uint8_t uuid[16], int data_fd, int status_fd);
struct domain *domain_free(struct domain *d);

/* A FREE slot of the class as GRANTED with a new generation, its memory open. NULL with errno: ENOSPC, ENOMEM. */
struct slot *domain_grant(struct domain *d, enum onebeat_class class);
/* Opens a lease's SPARE slot for the next generation. 0 or a negative errno. */
int domain_regrant(struct slot *slot);
/* Adoption: the slot is in use, as the journal says. 0 or a negative errno: its memory cannot be taken. */
int domain_take(struct domain *d, uint32_t slot, enum slot_state state, uint32_t generation);
/* FREE again: no process can write it any more, or none ever could. */
void domain_release(struct slot *slot);

/* Logs that pages were lost since the last time. */
void domain_report_lost(struct domain *d);

struct onebeat_status_line *slot_line(const struct slot *slot);

#endif
