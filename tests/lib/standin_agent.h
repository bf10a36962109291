/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_STANDIN_AGENT_H
#define LIB_STANDIN_AGENT_H

#include "lib/standin_slots.h"
#include "segment/decode.h"

/*
 * The agent's side of a lease, for tests of the library: a thread that keeps the protocol of lease.h and
 * segment.h to the letter and tells what it saw. It sends nothing to any registry; it confirms what it
 * sees at once, unless it is told otherwise.
 */
struct standin_agent;

struct standin_agent_counts {
	uint32_t n_connections; /* ever */
	uint32_t n_open;        /* leases at present */
	uint32_t n_hellos;
	uint32_t n_hello_descriptors; /* that came with a descriptor */
	uint32_t n_asks;
	uint32_t n_ask_descriptors;
	uint32_t n_goodbyes;
	uint32_t n_bells;
	uint32_t n_malformed;     /* messages against lease.h */
	uint32_t n_invalid;       /* versions against segment.h */
	uint32_t hello_flags;     /* of the last one */
	char library[17];         /* of the last one */
	char why[DECODE_WHY_MAX]; /* of the last invalid version */
};

/* One slot, as it was last seen. */
struct standin_agent_view {
	uint32_t slot;
	uint32_t generation;
	enum onebeat_class class;
	uint32_t version;
	uint32_t op;
	uint32_t n_versions;
	int lease;
};

/* Listens on client.sock in dir, which it takes over when somebody has left one. NULL on failure. */
struct standin_agent *standin_agent_new(const char *dir, uint32_t n_slots);
/* Dies: everything ends at once, the socket's path stays behind. Takes NULL, returns NULL. */
struct standin_agent *standin_agent_free(struct standin_agent *a);

/* Orders; all of them hold from the next message or version on. */
void standin_agent_slow(struct standin_agent *a,
			bool slow); /* answers are withheld, and then given */
void standin_agent_ahead(struct standin_agent *a, bool ahead); /* one is granted ahead (default) */
void standin_agent_verdict(struct standin_agent *a, enum standin_verdict verdict);
void standin_agent_limit(struct standin_agent *a, enum onebeat_class class, uint32_t n_left);
void standin_agent_refuse(struct standin_agent *a,
			  enum onebeat_reason reason); /* to HELLO; 0: no more */
void standin_agent_sleeping(struct standin_agent *a,
			    bool sleeping); /* what it says; default true */
/* Unasked grants to every lease. */
void standin_agent_grant(struct standin_agent *a, enum onebeat_class class, uint32_t n);
/* Closes every lease, and goes on listening. */
void standin_agent_hang_up(struct standin_agent *a);
void standin_agent_judge(struct standin_agent *a, uint32_t slot, enum onebeat_state state,
			 uint32_t code, const char *text);

/* What it has seen; each looks at all slots first. */
struct standin_agent_counts standin_agent_counts(struct standin_agent *a);
/* The first slot with this port, alive or withdrawn as op says; false when there is none. */
bool standin_agent_find(struct standin_agent *a, uint16_t port, enum onebeat_op op,
			struct standin_agent_view *out);
uint32_t standin_agent_n_slots(struct standin_agent *a, enum onebeat_op op);
/* Its descriptor with a reference for the caller; NULL when it has none. */
struct descriptor *standin_agent_descriptor(struct standin_agent *a, uint32_t slot);

/* The memory itself, to read and to spoil. */
const struct memory *standin_agent_memory(struct standin_agent *a);

#endif
