/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_STATE_H
#define SEGMENT_STATE_H

/*
 * The watcher's state, shared by the files of this folder that make up its thread: accept.c, lease.c,
 * lease_process.c, handshake.c, grant.c, looks.c, hold.c, join.c, instance.c, gate.c, adopt.c and watcher.c. Nobody else
 * includes this.
 */

#include <sys/queue.h>

#include "base/calls.h"
#include "base/loop.h"
#include "base/manifest.h"
#include "segment/domain.h"
#include "segment/identity.h"
#include "segment/journal.h"
#include "segment/listen.h"
#include "segment/quota.h"
#include "segment/drain.h"
#include "segment/status_line.h"
#include "segment/watcher.h"
#include <onebeat/lease.h>
#include <onebeat/onebeat.h>

/* Values are in the journal. */
enum lease_state {
	LEASE_FREE = 0,
	LEASE_NEW = 1,     /* accepted, no HELLO yet; not journalled */
	LEASE_HOLDING = 2, /* HELLO seen, the keeper has not confirmed its duplicate */
	LEASE_OPEN = 3,
	LEASE_WATCHED = 4, /* its socket ended, its process lives: the pidfd speaks */
	LEASE_ENDED = 5    /* its process is gone; only lingering holds keep it */
};

struct lease {
	uint32_t index;
	uint8_t state;
	bool busy; /* somebody walks its slots: not to be freed under them */
	bool open; /* its socket can still speak: counted in n_open */
	bool said_goodbye;
	bool welcomed;  /* its HELLO was answered; in the journal: LEASE_HOLDING until then */
	uint32_t flags; /* of HELLO */
	int fd;
	int pidfd; /* -1: not taken */
	uint64_t watch;
	uint64_t pid_watch;
	uint64_t mind_due_ms;  /* its process could not be watched: tried again then; CLOCK_NEVER */
	uint64_t hello_due_ms; /* LEASE_NEW: closed then */
	uint64_t look_due_ms;  /* when its program is looked at again; CLOCK_NEVER */
	uint64_t exec_due_ms; /* runs another program since its socket ended: orphan then; CLOCK_NEVER */
	struct identity identity;
	struct quota_account *account;
	uint64_t rules; /* of the allow-list that are for it */
	struct quota_window messages;
	bool muted; /* has sent too much: not read until the window is over */
	TAILQ_ENTRY(lease) mute_entry;
	struct domain *domain;
	struct slot *slots;
	struct listen_view *view;
	struct watcher *watcher;
};

TAILQ_HEAD(lease_list, lease);

/* Whether an instance may be shown to the registry, from listening and progress. */
enum gate {
	GATE_OPEN,     /* as its descriptor says */
	GATE_DISABLED, /* registered with enabled=false */
	GATE_CLOSED    /* not registered at all */
};

struct instance {
	uint32_t id;
	uint32_t n_holds;
	struct slot *holds; /* any order */
	struct slot *
		leaving; /* SLOT_LEAVING: keeps the journal's descriptor until the DELETE is done */
	struct beat *beat;
	struct descriptor *key;       /* any descriptor of it: the key's texts */
	struct descriptor *effective; /* what the registry is to see; NULL while nothing is wanted */
	uint32_t version;
	bool wanted;
	bool let_go; /* the sender has nothing of it any more */
	bool gated;  /* the gate looks at it every round */
	bool was_listening;
	uint8_t gate;
	uint8_t listening;           /* the gate as far as listening decides it */
	uint64_t silent_since_ms;    /* the port stopped listening then; CLOCK_NEVER */
	uint64_t watched_since_ms;   /* when waiting for the port began */
	uint64_t lingering_since_ms; /* when its last lease died while its port listened */
	uint8_t shown;               /* enum onebeat_state that the last event told */
	bool undecided; /* memory was out: decided anew at the watcher's decide_due_ms */
};

/* A growing table of pointers with a free list of numbers. */
struct numbered {
	void **items;
	uint32_t n_items;
	uint32_t max; /* more are refused: the journal has room for so many */
	uint32_t *free;
	uint32_t *places; /* of free numbers: where in free they are */
	uint32_t n_free;
	uint32_t n_used;
};

struct watcher {
	struct watcher_options options;
	struct loop loop;
	struct journal *journal;
	struct watcher_counts counts;
	int link;
	int clients;
	uint64_t link_watch, clients_watch, outcome_watch, calls_watch;
	struct domain *domains[JOURNAL_DOMAINS_MAX];
	uint32_t n_domains;
	struct quotas quotas;
	struct numbered leases;
	struct numbered instances;
	struct lease_list muted;
	uint32_t n_open;  /* leases whose socket is open */
	uint32_t n_gated; /* instances that the gate must look at */
	uint64_t order;
	struct listen_views *views;
	uint64_t sweep_due_ms;
	uint64_t gate_due_ms;
	uint64_t lease_due_ms;
	uint64_t accept_due_ms; /* accepting is paused until then: out of descriptors */
	uint64_t muted_due_ms;  /* muted leases are read again */
	uint64_t retry_due_ms;  /* an unstable slot is looked at again */
	uint64_t decide_due_ms; /* instances that are undecided */
	bool running;
	int status;
	/* leave */
	uint32_t leave_mark; /* JOURNAL_LEAVING, or 0: goes with every mark in the journal */
	uint64_t leave_due_ms;
	void (*leave_done)(void *ctx, uint32_t n_deregistered, uint32_t n_failed);
	void *leave_ctx;
	uint32_t n_leaving_at_first;
	bool leaving;
	struct calls calls;
};

/* numbered.c */
int numbered_add(struct numbered *t, void *item, uint32_t *number);
int numbered_add_at(struct numbered *t, void *item, uint32_t number);
void numbered_remove(struct numbered *t, uint32_t number);
void numbered_deinit(struct numbered *t);
static inline void *numbered_get(const struct numbered *t, uint32_t number)
{
	return number < t->n_items ? t->items[number] : NULL;
}

/* accept.c: connections that come in */
int accept_start(struct watcher *w, int fd);
void accept_resume(struct watcher *w);
/* Before a socket is closed whose peer was told why. */
void accept_drain(int fd);

/* looks.c: which slots are looked at */
void looks_drain(struct watcher *w, uint64_t now_ms);
void looks_sweep(struct watcher *w);
void looks_retry(struct watcher *w);
void looks_say_sleeping(struct watcher *w, bool sleeping, uint64_t now_ms);
/* When there is something to look at: now_ms, later by quota, or CLOCK_NEVER. */
uint64_t looks_due_ms(struct watcher *w, uint64_t now_ms);

/* lease.c and lease_process.c: end and death of leases */
/* index: UINT32_MAX for any; an adopted one keeps its own, because its slots name it. */
struct lease *lease_new(struct watcher *w, int fd, const struct identity *identity, int pidfd,
			uint32_t index);
int lease_watch(struct lease *lease);
void lease_opened(struct lease *lease);
/* Shows how many are open. */
void lease_count(struct watcher *w);
void lease_journal(struct lease *lease);
void lease_events(void *ctx, uint32_t events);
/* Its socket has ended: decides between life and death. */
void lease_ended(struct lease *lease);
/* Its process is dead: its holds go, its slots are free. */
void lease_died(struct lease *lease);
/* Watches the process too. False: it is dead. */
bool lease_mind_process(struct lease *lease);
void lease_check_program(struct lease *lease);
/* Its socket is lost, and nothing leads to its process: it has a grace to come back in. */
void lease_await(struct lease *lease);
/* Can a successor find its process by what the journal says? */
bool lease_findable(const struct lease *lease);
/* The pidfd taken at accept, or asked for at this moment. 0; -ESRCH when dead; another negative errno when nobody knows. */
int lease_take_pidfd(struct lease *lease);
/* Watches the process too if a hold hangs on it alone. */
void lease_watch_owner(struct lease *lease);
/* Frees a lease that nothing refers to any more. */
void lease_settle(struct lease *lease);
/* Orphans whose grace is over, processes that could not be watched. */
void lease_round(struct watcher *w, uint64_t now_ms);
void lease_mute(struct lease *lease);
void lease_unmute_all(struct watcher *w);
/* Tells the operator, and tools, what was refused to whom. account NULL: there is none to keep it in. */
void lease_refused(struct watcher *w, struct quota_account *account, const struct identity *who,
		   enum quota_kind kind, const char *text);
struct listen_view *lease_view(struct lease *lease);
/* Is it known to be in another network namespace than ours? */
bool lease_is_elsewhere(struct lease *lease);
/* Is it known to be there, and has the agent no means to look into it? */
bool lease_is_hidden(struct lease *lease);
const char *lease_label(const struct lease *lease, char buf[64]);

/* handshake.c: messages of leases */
/* Reads what the client has sent. False when the lease must end. */
bool handshake_read(struct lease *lease);
/* REFUSED, to whom it may reach. */
void handshake_refuse(int fd, enum onebeat_reason reason, uint32_t cookie, const char *text);
/* Which rules of the allow-list are for it, by the kernel's word. */
void handshake_find_rules(struct lease *lease);
/* The keeper has confirmed a duplicate. */
void handshake_held(struct watcher *w, uint64_t cookie, int status);
void handshake_send_grant(struct lease *lease, const struct slot *slot, uint32_t cookie);

/* grant.c: slots of leases */
int grant_introduce(struct watcher *w, struct domain *d);
struct domain *grant_domain(struct watcher *w, uid_t uid);
/* A slot of the class for the lease, journalled: its own spare one first. cookie: of the question that it is to
 * answer; 0: of none. NULL with errno. */
struct slot *grant_slot(struct lease *lease, enum onebeat_class class, uint32_t cookie);
/* The lease's GRANTED slot of the class that holds nothing yet; NULL. */
struct slot *grant_waiting(struct lease *lease, enum onebeat_class class);
/* Sees to the one small grant ahead; sends it when it is new. */
void grant_ahead(struct lease *lease);
/* Every lease's one ahead, where a predecessor died between a slot's first version and the next grant. */
void grant_missing(struct watcher *w);
/* A lease's slots that no hold keeps are free: its process is dead. */
void grant_reclaim(struct lease *lease);
/* The slot is free: no lease, no instance, and its writer is dead. */
void grant_release(struct watcher *w, struct slot *slot);
/* Shows how many slots are in use. */
void grant_count(struct watcher *w);
void grant_unlink(struct slot *slot);
void grant_link(struct lease *lease, struct slot *slot);
/* Spare slots of this process's earlier leases become this lease's. */
void grant_inherit(struct lease *lease);

/* join.c: who may hold an instance beside others */
/* Is h from an earlier lease, lost since, of the process that now has slot? */
bool join_left_behind(const struct slot *h, const struct slot *slot);
/* What the allow-list grants the slot's process; 0 without one. */
uint64_t join_rules(const struct slot *slot);
/* May this slot join the instance beside those who hold it? False with why. */
bool join_permits(const struct instance *inst, const struct slot *slot, const struct descriptor *d,
		  char why[DECODE_WHY_MAX]);

/* registries.c */
/* The index of a configured registry, by name ("": the first); n_registries when it is none of them. */
uint32_t registries_find(const struct watcher *w, const char *name);
/* A copy with registry and namespace filled in, and ip unless NULL. NULL with why, empty when memory is out. */
struct descriptor *registries_complete(const struct watcher *w, const struct descriptor *d,
				       const char *ip, char why[DECODE_WHY_MAX]);

/* hold.c: slots that say something */
/* Looks at a slot's newest version. */
void hold_look(struct watcher *w, struct slot *slot);
/* Takes a decoded descriptor (consumed) as the slot's newest. */
void hold_accept(struct watcher *w, struct slot *slot, struct descriptor *d,
		 const struct drain_copy *copy);
void hold_refuse(struct watcher *w, struct slot *slot, const char *why);
void hold_forgive(struct watcher *w, struct slot *slot);
/* The slot says nothing any more. */
void hold_drop(struct watcher *w, struct slot *slot);
void hold_journal(struct watcher *w, struct slot *slot);
/* As if each living hold had just come: for a predecessor that died over it. */
void hold_supersede_all(struct watcher *w, struct instance *inst);
/* The instance's DELETE is done, or needless: the slot that kept its descriptor is settled. */
void hold_release_leaving(struct watcher *w, struct instance *inst);
/* Writes the slot's status line from its instance. */
void hold_report(struct watcher *w, struct slot *slot);

/* instance.c: what the registry is to see */
struct instance *instance_find(struct watcher *w, const struct descriptor *d);
/* owner: whose turn its requests take, a domain's index. NULL with errno: ENOSPC, ENOMEM. */
struct instance *instance_new(struct watcher *w, struct descriptor *d, uint32_t id, uint32_t owner);
struct slot *instance_in_force(const struct instance *inst);
/* Decides anew after any change of holds or gate, and tells dom2Beat and the sender. */
void instance_decide(struct watcher *w, struct instance *inst);
/* Decides again what could not be decided for want of memory. */
void instance_round(struct watcher *w);
/* After adoption: goes on from what the journal says was shown. */
void instance_adopted(struct watcher *w, struct instance *inst);
/* An outcome came back from the sender. */
void instance_outcome(struct watcher *w, struct beat *beat, bool returned);
void instance_report(struct watcher *w, struct instance *inst);
enum onebeat_state instance_public_state(const struct instance *inst);
/* Nothing holds it, nothing is asked of the registry: out of the map. */
void instance_end(struct watcher *w, struct instance *inst);
/* Frees it without a word to anybody: for the watcher's own end. */
void instance_discard(struct watcher *w, struct instance *inst);

/* gate.c: listening and progress */
/* Looks at all instances that are gated or watched for progress; sets gate_due_ms. */
void gate_round(struct watcher *w, uint64_t now_ms);
void gate_judge(struct watcher *w, struct instance *inst, uint64_t now_ms);
bool gate_applies(const struct instance *inst);
/* After a death: must this hold stay because its port still listens? */
bool gate_lingers(struct watcher *w, struct slot *slot);

/* watcher.c: what the keeper has said. Also before each HOLD, so that neither waits for the other. */
void watcher_read_link(struct watcher *w);

/* adopt.c */
int adopt_all(struct watcher *w);

#endif
