/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_BEAT_H
#define BEAT_BEAT_H

#include <stdbool.h>
#include <stdint.h>

#include <urcu.h>
#include <urcu/wfcqueue.h>

#include "beat/machine.h"
#include "beat/wheel.h"

struct dom2beat_node;

#define BEAT_NOTE_SIZE 128u /* what a status line has room for */

/* Why the last request failed; immutable, replaced by the sender, freed by call_rcu. */
struct beat_note {
	struct rcu_head rcu;
	int code;
	char text[BEAT_NOTE_SIZE];
};

/*
 * The mutable side of one instance. Made and freed by the watcher; between, each group of fields
 * has one writer. Watcher and sender tell each other of changes by queueing the beat itself, at
 * most once each way.
 */
struct beat {
	struct dom2beat_node *node; /* RCU-published by the watcher */
	uint32_t id;                /* index in the agent's instance table and in the journal */
	uint32_t key_hash;
	uint32_t owner;    /* whose turn its requests take; set before it is queued first */
	uint32_t registry; /* index among those configured; set before it is queued first */
	struct rcu_head rcu;

	/* Watcher to sender: written before queueing. */
	_Atomic uint32_t want_version; /* 0: leave */
	_Atomic bool orphaned;         /* nobody wanted that: its process is gone */
	uint32_t n_given;              /* times enqueued for the sender; the watcher's own */
	struct machine_past past;      /* of an adopted instance, valid when adopted is set */
	bool adopted;
	_Atomic uint32_t queued_to_sender;
	struct cds_wfcq_node to_sender;

	/* Sender to watcher and control: relaxed atomics. */
	_Atomic uint32_t state;    /* enum machine_state */
	_Atomic uint32_t code;     /* last HTTP status or Nacos code */
	_Atomic uint32_t acked;    /* newest version that the registry has confirmed */
	_Atomic uint32_t rejected; /* newest version that it refused */
	_Atomic uint64_t since_ms;
	_Atomic uint64_t beat_ms; /* last acknowledged beat; 0: none */
	struct beat_note *note;   /* RCU-published; NULL: none */
	_Atomic uint32_t queued_to_watcher;
	struct cds_wfcq_node to_watcher;

	/* The sender's own. */
	uint32_t n_taken;      /* times popped */
	bool delete_attempted; /* since the last POST */
	struct machine machine;
	uint64_t noted_due_ms; /* the beat's time that the journal has */
	struct wheel_node wheel;
	uint32_t n_inflight;      /* requests that lanes still hold for it, stale ones too */
	uint32_t request_version; /* of the node that request was rendered from */
	uint8_t request_api;      /* and what it is in: enum nacos_version, like the next */
	uint8_t write_api;        /* of the POST or DELETE that was sent last */
	uint32_t route_epoch;     /* of the registry's route when the next two were found */
	uint8_t home;             /* node that does the work for it */
	uint8_t group;            /* of instances that have the same one */
	uint32_t n_request_body;  /* its last bytes: a full beat's body */
	char *request;            /* rendered beat; malloc'ed */
	bool long_head;           /* that one's head is longer than servers have to take */
	bool head_refused;        /* one that long was refused, and it has not been a form yet */
};

/* Watcher only. A beat for a key, in no map yet. NULL: memory. */
struct beat *beat_new(uint32_t id, uint32_t key_hash);
/*
 * Watcher only, for a beat that no queue, wheel or lane holds: frees it, its note and its request
 * after a grace period.
 */
void beat_free(struct beat *beat);
/* Sender only: publishes a note (NULL clears it). */
void beat_set_note(struct beat *beat, struct beat_note *note);

#endif
