/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining: who may hold an instance beside those who hold it
 *
 * All holders of an instance are one instance at the registry, so they must agree in what it cannot show twice: its
 * cluster, and whether it is ephemeral. Another user joins only when its process descends from a holder, or when the
 * allow-list says so. What a process left behind with a lease that it has lost is no holder to agree with: it
 * is the same process. Watcher thread only.
 */
#include <stdio.h>
#include <string.h>

#include "segment/state.h"

static pid_t pid_of(const struct slot *slot)
{
	return slot->lease ? slot->lease->identity.pid : 0;
}

bool join_left_behind(const struct slot *h, const struct slot *slot)
{
	const struct lease *old = h->lease, *now = slot->lease;

	return old && now && old != now &&
	       (old->state == LEASE_WATCHED || old->state == LEASE_ENDED) &&
	       identity_same(&old->identity, &now->identity);
}

static bool descends(const struct lease *child, const struct lease *ancestor)
{
	return child && ancestor && identity_descends(&child->identity, &ancestor->identity);
}

uint64_t join_rules(const struct slot *slot)
{
	return slot->lease ? slot->lease->rules : 0;
}

bool join_permits(const struct instance *inst, const struct slot *slot, const struct descriptor *d,
		  char why[DECODE_WHY_MAX])
{
	for (const struct slot *h = inst->holds; h; h = h->hold_next) {
		if (h == slot || h->lingers || join_left_behind(h, slot))
			continue;
		if (strcmp(h->descriptor->cluster, d->cluster) != 0) {
			snprintf(
				why, DECODE_WHY_MAX,
				"cluster '%.24s' is not '%.24s', in which pid %d holds this ip:port",
				d->cluster, h->descriptor->cluster, (int)pid_of(h));
			return false;
		}
		if (h->descriptor->ephemeral != d->ephemeral) {
			snprintf(why, DECODE_WHY_MAX,
				 "ephemeral=%s: pid %d holds this instance with ephemeral=%s",
				 d->ephemeral ? "true" : "false", (int)pid_of(h),
				 h->descriptor->ephemeral ? "true" : "false");
			return false;
		}
		if (h->domain->uid != slot->domain->uid && !descends(slot->lease, h->lease) &&
		    !allow_joins(slot->domain->watcher->options.allow, join_rules(slot), d)) {
			snprintf(why, DECODE_WHY_MAX, "uid %u may not join an instance of uid %u",
				 slot->domain->uid, h->domain->uid);
			return false;
		}
	}
	return true;
}
