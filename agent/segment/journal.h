/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_JOURNAL_H
#define SEGMENT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <onebeat/segment.h>

#define JOURNAL_DOMAINS_MAX 64u
#ifndef JOURNAL_LEASES_MAX /* the fuzzing build, which makes a journal for every input, has smaller tables */
#define JOURNAL_LEASES_MAX 65536u
#define JOURNAL_INSTANCES_MAX 131072u
#endif

/* What the agent knows and a successor must: one struct a table. Plain numbers only; written whole, so
 * padding has a name. */
struct journal_domain {
	uint32_t uid;
	uint32_t n_slots;
	uint8_t uuid[16];
};

struct journal_lease {
	uint64_t cookie;      /* SO_COOKIE of the accepted socket */
	uint64_t start_ticks; /* /proc/PID/stat field 22 */
	uint64_t exe_dev;
	uint64_t exe_ino;
	int32_t pid;
	uint32_t uid;
	uint32_t gid;
	uint32_t flags; /* of HELLO */
	uint32_t state; /* the lease table's */
	uint32_t netns; /* enum identity_netns */
	char program[16];
};

/* The watcher's part of an instance. */
struct journal_instance {
	uint32_t key_hash;
	uint32_t version; /* what the registry is to see ... */
	uint32_t gate;    /* ... was shown through this gate ... */
	uint32_t digest;  /* ... descriptor_digest() of it (0: not known) ... */
	uint64_t order;   /* ... from the slot with this acceptance stamp */
};

/* The sender's part of an instance. */
struct journal_progress {
	uint32_t posted;
	uint32_t acked;
	uint32_t delete_attempted;
};

#define JOURNAL_WITHDRAWN UINT32_C(0x100)

struct journal_slot {
	uint32_t generation;
	uint32_t state;    /* the slot table's */
	uint32_t lease;    /* index of its lease record */
	uint32_t instance; /* index of its instance record; UINT32_MAX: none */
	uint32_t policy;   /* JOURNAL_WITHDRAWN with it: its process took it back */
	uint32_t version;  /* pub value of the last good descriptor */
	uint64_t order;    /* acceptance stamp: the highest of an instance's slots is in force */
	char ip[48];       /* address chosen for it; "" when the client gave one */
	uint32_t cookie;   /* of the question that it answers; 0: of none */
	uint32_t length;   /* of the descriptor */
	uint32_t descriptor[ONEBEAT_LARGE_PAYLOAD / 4]; /* only length bytes of it are stored */
};

struct journal;

enum {
	JOURNAL_KEPT = 0, /* records of this boot are there */
	JOURNAL_FRESH = 1 /* new, or of another boot or format: starts empty */
};

/*
 * Opens dir/journal (0600), mapped, sparse. JOURNAL_KEPT, JOURNAL_FRESH, or a negative errno. n_slots is that of
 * every domain; a journal made for another number is FRESH. Not thread-safe by itself: each record has one
 * writing thread, and different records may be written at once.
 */
int journal_open(struct journal **out, const char *dir, uint32_t n_slots);

enum {
	JOURNAL_NONE = 0,     /* no journal of this boot */
	JOURNAL_READABLE = 1, /* *n_slots tells for how many slots it was made */
	JOURNAL_OTHER = 2     /* of this boot, and of another release's layout */
};

/* What journal_open() would find, without touching it. */
int journal_look(const char *dir, uint32_t *n_slots);
struct journal *journal_close(struct journal *j); /* takes NULL, returns NULL; the file stays */

/*
 * Each table: put writes the record's older half, checksum last, so that a crash at any instruction leaves
 * the previous record; get reads the newest valid half, false when there is none; drop makes it none.
 * The caller puts before it acts. A put's result is 0, or -ENOSPC and the like when the file system has no
 * page left for it: the record is then what it was.
 */
void journal_put_domain(struct journal *j, uint32_t domain, const struct journal_domain *rec);
bool journal_get_domain(struct journal *j, uint32_t domain, struct journal_domain *rec);
int journal_put_lease(struct journal *j, uint32_t lease, const struct journal_lease *rec);
bool journal_get_lease(struct journal *j, uint32_t lease, struct journal_lease *rec);
void journal_drop_lease(struct journal *j, uint32_t lease);
int journal_put_instance(struct journal *j, uint32_t instance, const struct journal_instance *rec);
bool journal_get_instance(struct journal *j, uint32_t instance, struct journal_instance *rec);
int journal_put_progress(struct journal *j, uint32_t instance, const struct journal_progress *rec);
bool journal_get_progress(struct journal *j, uint32_t instance, struct journal_progress *rec);
void journal_drop_instance(struct journal *j, uint32_t instance); /* all of it */
/*
 * When the instance's next beat is due; CLOCK_NEVER: unknown. The sender's, at every beat: one store, no record,
 * nothing is said when there is no room. Good for 24 days around now_ms.
 */
void journal_put_due(struct journal *j, uint32_t instance, uint64_t due_ms);
uint64_t journal_get_due(struct journal *j, uint32_t instance, uint64_t now_ms);
/* -ENOMEM too, when the domain's part of the file cannot be mapped. */
int journal_put_slot(struct journal *j, uint32_t domain, uint32_t slot,
		     const struct journal_slot *rec);
bool journal_get_slot(struct journal *j, uint32_t domain, uint32_t slot, struct journal_slot *rec);
void journal_drop_slot(struct journal *j, uint32_t domain, uint32_t slot);
void journal_drop_domain(struct journal *j,
			 uint32_t domain); /* with all its slots; gives the space back */

/* Logs a put that failed (r < 0), of what: a lease, an instance, ... */
void journal_failed(int r, const char *what);

/*
 * The slot being adopted: what a successor finds marked has killed its predecessor. ONEBEAT_NO_SLOT: none. With
 * domain goes JOURNAL_LEAVING, while everything is being deregistered because the operator wants it: a successor
 * goes on with that. (A record of its own would be another format, which an upgrade could not read.)
 */
#define JOURNAL_LEAVING UINT32_C(0x80000000)
void journal_mark_adopting(struct journal *j, uint32_t domain, uint32_t slot);
void journal_adopting(struct journal *j, uint32_t *domain, uint32_t *slot);

#endif
