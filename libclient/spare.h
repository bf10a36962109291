/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_SPARE_H
#define ONEBEAT_SPARE_H

#include "handle.h"

/* Grants that came ahead. All under the handle's lock. */
void onebeat__spare_keep(struct onebeat *ob, const struct onebeat_grant *g);
/* One of that class that may be used now; false: none. */
bool onebeat__spare_take(struct onebeat *ob, uint32_t class, struct onebeat_grant *out);
void onebeat__spare_drop_slot(struct onebeat *ob, uint32_t slot);
void onebeat__spare_drop_class(struct onebeat *ob, uint32_t class);
void onebeat__spare_drop_all(struct onebeat *ob);
/* One has been used: the agent sends the next as soon as it sees that. */
void onebeat__spare_expect(struct onebeat *ob);
/* Is it still worth waiting for the next? */
bool onebeat__spare_is_expected(struct onebeat *ob, uint64_t now_ms);

#endif
