/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MANIFEST_H
#define BASE_MANIFEST_H

#include <stdint.h>

#include "base/channel.h"

/* What an agent process inherits: a memfd that starts with this head, entries behind it. */
struct manifest_head {
	uint32_t magic;   /* set by manifest_write() */
	uint32_t version; /* set by manifest_write() */
	uint32_t n_entries;
	uint32_t quarantine; /* 1: the slot marked in the journal killed agents: do not adopt it */
	uint32_t n_restarts;
	int32_t keeper_pid;
};

struct manifest_entry {
	uint32_t kind; /* enum channel_kind */
	int32_t fd;
	uint64_t id;
};

#define MANIFEST_MAGIC UINT32_C(0x4f424d46)

_Static_assert(sizeof(struct manifest_head) == 24, "manifest head is 24 bytes");
_Static_assert(sizeof(struct manifest_entry) == 16, "manifest entry is 16 bytes");

/* Makes a memfd holding the manifest; the descriptor (not CLOEXEC) or a negative errno. */
int manifest_write(const struct manifest_head *head, const struct manifest_entry *entries);
/*
 * Reads the manifest and closes fd, whatever comes of it; *entries is malloc'ed. 0; -EBADMSG for
 * anything malformed; -EPROTO when the keeper is of another version; or a negative errno.
 */
int manifest_read(int fd, struct manifest_head *head, struct manifest_entry **entries);

#endif
