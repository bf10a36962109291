/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_STANDIN_SLOTS_H
#define LIB_STANDIN_SLOTS_H

#include "base/descriptor.h"
#include "segment/decode.h"
#include "segment/drain.h"
#include <onebeat/lease.h>
#include <onebeat/onebeat.h>

/* What the stand-in does about a version that it sees for the first time. */
enum standin_verdict {
	STANDIN_CONFIRM, /* UP or DOWN, as it says; GONE for a withdrawal */
	STANDIN_REFUSE,
	STANDIN_SILENT /* looks at it and says nothing */
};

#define STANDIN_REFUSAL "refused by the stand-in"
#define STANDIN_REFUSAL_CODE 418

struct standin_slot {
	bool granted;
	uint32_t generation;
	int lease;                     /* of the stand-in's leases */
	uint32_t version;              /* seen last; 0: none */
	uint32_t op;                   /* of it */
	uint32_t n_versions;           /* seen: some may have been written over unseen */
	struct descriptor *descriptor; /* of the last LIVE one */
};

/* The memory side of the stand-in. Its caller has a lock. */
struct standin_slots {
	struct memory memory;
	struct standin_slot *slots;
	uint32_t n_left[ONEBEAT_N_CLASSES]; /* how many more it will grant */
	uint32_t next[ONEBEAT_N_CLASSES];
	uint32_t next_generation;
	enum standin_verdict verdict;
	uint32_t n_invalid;       /* versions that no agent would take */
	char why[DECODE_WHY_MAX]; /* of the last of them */
};

int standin_slots_init(struct standin_slots *s, uint32_t n_slots);
void standin_slots_deinit(struct standin_slots *s);
/* False: no slot is left; the grant is NO_SLOT then. */
bool standin_slots_grant(struct standin_slots *s, int lease, enum onebeat_class class,
			 struct onebeat_grant *out);
/* Publishes for the writer, as the agent does with what came in a message. */
void standin_slots_publish(struct standin_slots *s, struct onebeat_grant *grant,
			   const uint32_t *payload, uint32_t length);
/* Looks at one slot. True: it has its first version. */
bool standin_slots_look(struct standin_slots *s, uint32_t slot);
/* Says it of the version that was seen last. */
void standin_slots_judge(struct standin_slots *s, uint32_t slot, enum onebeat_state state,
			 uint32_t code, const char *text);

#endif
