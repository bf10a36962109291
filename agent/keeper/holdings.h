/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_HOLDINGS_H
#define KEEPER_HOLDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/manifest.h"

/* Descriptors held for the agent, by (kind, id). */
struct holdings {
	struct manifest_entry *entries; /* open addressing; kind CHANNEL_NONE: free */
	uint32_t n_places;              /* 0 or a power of two */
	uint32_t n_held;
};

#define HOLDINGS_NULL           \
	{                       \
		.entries = NULL \
	}

/* Closes everything held. */
void holdings_deinit(struct holdings *h);

/*
 * Keeps fd; what was held under the same name is closed. 0: fd is the table's; or -ENOMEM: still
 * the caller's.
 */
int holdings_put(struct holdings *h, enum channel_kind kind, uint64_t id, int fd);
/* Closes what is held under that name; false when nothing is. */
bool holdings_drop(struct holdings *h, enum channel_kind kind, uint64_t id);
bool holdings_has(const struct holdings *h, enum channel_kind kind, uint64_t id);
/* From now on under another name; what was there is closed. */
void holdings_rename(struct holdings *h, enum channel_kind kind, uint64_t from, uint64_t to);
/* Copies the n_held entries to out, in no order. */
void holdings_list(const struct holdings *h, struct manifest_entry *out);

#endif
