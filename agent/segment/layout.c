/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where every field lies that agents and keepers leave to each other
 *
 * The keeper may be of an older build than the agent that it starts, and the journal outlives both. What one of them
 * wrote, another reads by these offsets: messages on the channel, the manifest, the journal's records and its stamp.
 * A line that has to change is a change of CHANNEL_VERSION, or of the journal's FORMAT.
 *
 * The lines are written by tests/abi/layout --write. Nothing here becomes code.
 */
#include <onebeat/layout.h>

#include "base/channel.h"
#include "base/manifest.h"
#include "segment/journal.h"
#include "segment/stamp.h"

/* clang-format off */
/* layout: begin */
LAYOUT_STRUCT(channel_msg, 16, LAYOUT_WIDE)
LAYOUT_FIELD(channel_msg, version, 0, 2)
LAYOUT_FIELD(channel_msg, type, 2, 2)
LAYOUT_FIELD(channel_msg, kind, 4, 2)
LAYOUT_FIELD(channel_msg, status, 6, 2)
LAYOUT_FIELD(channel_msg, id, 8, 8)
LAYOUT_STRUCT(manifest_head, 24, 4)
LAYOUT_FIELD(manifest_head, magic, 0, 4)
LAYOUT_FIELD(manifest_head, version, 4, 4)
LAYOUT_FIELD(manifest_head, n_entries, 8, 4)
LAYOUT_FIELD(manifest_head, quarantine, 12, 4)
LAYOUT_FIELD(manifest_head, n_restarts, 16, 4)
LAYOUT_FIELD(manifest_head, keeper_pid, 20, 4)
LAYOUT_STRUCT(manifest_entry, 16, LAYOUT_WIDE)
LAYOUT_FIELD(manifest_entry, kind, 0, 4)
LAYOUT_FIELD(manifest_entry, fd, 4, 4)
LAYOUT_FIELD(manifest_entry, id, 8, 8)
LAYOUT_STRUCT(journal_domain, 24, 4)
LAYOUT_FIELD(journal_domain, uid, 0, 4)
LAYOUT_FIELD(journal_domain, n_slots, 4, 4)
LAYOUT_FIELD(journal_domain, uuid, 8, 16)
LAYOUT_STRUCT(journal_lease, 72, LAYOUT_WIDE)
LAYOUT_FIELD(journal_lease, cookie, 0, 8)
LAYOUT_FIELD(journal_lease, start_ticks, 8, 8)
LAYOUT_FIELD(journal_lease, exe_dev, 16, 8)
LAYOUT_FIELD(journal_lease, exe_ino, 24, 8)
LAYOUT_FIELD(journal_lease, pid, 32, 4)
LAYOUT_FIELD(journal_lease, uid, 36, 4)
LAYOUT_FIELD(journal_lease, gid, 40, 4)
LAYOUT_FIELD(journal_lease, flags, 44, 4)
LAYOUT_FIELD(journal_lease, state, 48, 4)
LAYOUT_FIELD(journal_lease, netns, 52, 4)
LAYOUT_FIELD(journal_lease, program, 56, 16)
LAYOUT_STRUCT(journal_instance, 24, LAYOUT_WIDE)
LAYOUT_FIELD(journal_instance, key_hash, 0, 4)
LAYOUT_FIELD(journal_instance, version, 4, 4)
LAYOUT_FIELD(journal_instance, gate, 8, 4)
LAYOUT_FIELD(journal_instance, digest, 12, 4)
LAYOUT_FIELD(journal_instance, order, 16, 8)
LAYOUT_STRUCT(journal_progress, 12, 4)
LAYOUT_FIELD(journal_progress, posted, 0, 4)
LAYOUT_FIELD(journal_progress, acked, 4, 4)
LAYOUT_FIELD(journal_progress, delete_attempted, 8, 4)
LAYOUT_STRUCT(journal_slot, 4120, LAYOUT_WIDE)
LAYOUT_FIELD(journal_slot, generation, 0, 4)
LAYOUT_FIELD(journal_slot, state, 4, 4)
LAYOUT_FIELD(journal_slot, lease, 8, 4)
LAYOUT_FIELD(journal_slot, instance, 12, 4)
LAYOUT_FIELD(journal_slot, policy, 16, 4)
LAYOUT_FIELD(journal_slot, version, 20, 4)
LAYOUT_FIELD(journal_slot, order, 24, 8)
LAYOUT_FIELD(journal_slot, ip, 32, 48)
LAYOUT_FIELD(journal_slot, cookie, 80, 4)
LAYOUT_FIELD(journal_slot, length, 84, 4)
LAYOUT_FIELD(journal_slot, descriptor, 88, 4032)
LAYOUT_STRUCT(stamp, 256, 4)
LAYOUT_FIELD(stamp, magic, 0, 8)
LAYOUT_FIELD(stamp, byte_order, 8, 4)
LAYOUT_FIELD(stamp, format, 12, 4)
LAYOUT_FIELD(stamp, n_slots, 16, 4)
LAYOUT_FIELD(stamp, sizes, 20, 64)
LAYOUT_FIELD(stamp, boot_id, 84, 40)
LAYOUT_FIELD(stamp, reserved, 124, 128)
LAYOUT_FIELD(stamp, check, 252, 4)
/* layout: end */
