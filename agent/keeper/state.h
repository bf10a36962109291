/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_STATE_H
#define KEEPER_STATE_H

#include <stdint.h>

#include "base/manifest.h"

#define STATE_MAGIC UINT32_C(0x4f424b53)
#define STATE_VERSION 1u

/* Names of what only the keeper has, beside enum channel_kind. */
enum state_kind {
	STATE_LOCK = 100,
	STATE_FOLDER = 101,
	STATE_LINK = 102, /* its own end of the channel */
	STATE_TOOL = 103  /* who waits for the upgrade */
};

/*
 * What a keeper leaves to the program that it executes in its own place: a memfd with this head and an entry
 * for each descriptor that stays open. Fields are only ever added where reserved is, with a meaning for 0;
 * anything else is another version.
 */
struct state_head {
	uint32_t magic;   /* set by state_write() */
	uint32_t version; /* set by state_write() */
	uint32_t n_entries;
	int32_t agent_pid;
	uint64_t agent_can;
	uint64_t started_ms;
	uint64_t ready_ms;
	uint64_t mask; /* bit n - 1: signal n is blocked in what we start */
	uint32_t n_restarts;
	uint32_t restart_delay_ms;
	uint32_t restart_n_early;
	int32_t from_pid;     /* the agent before the upgrade */
	uint8_t kept_sockets; /* bit 0, 1: client.sock, control.sock is the service manager's */
	uint8_t reserved[31];
	char from_version[32];
	char runtime_dir[128];
};

_Static_assert(sizeof(struct state_head) == 256, "keeper state is 256 bytes");

/* Makes the memfd; the descriptor (not CLOEXEC) or a negative errno. */
int state_write(const struct state_head *head, const struct manifest_entry *entries);
/*
 * Reads it and closes fd, whatever comes of it; *entries is malloc'ed. 0; -EBADMSG: malformed, or names a
 * descriptor that is not open; -EPROTO: another version; or a negative errno.
 */
int state_read(int fd, struct state_head *head, struct manifest_entry **entries);

#endif
