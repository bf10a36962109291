/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_ALLOW_H
#define SEGMENT_ALLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cidr.h"
#include "base/descriptor.h"

#define ALLOW_RULES_MAX 64u /* a bit each */
#define ALLOW_ITEMS_MAX 64u /* of one list */
#define ALLOW_WHY_MAX 160u

enum allow_list {
	ALLOW_UID,
	ALLOW_GID,
	ALLOW_SERVICE,
	ALLOW_IP,
	ALLOW_PORT,
	ALLOW_LISTS
};

struct allow_range {
	uint32_t first, last;
};

/* Who it is for, and what they may register. An empty list of services, addresses or ports leaves them free. */
struct allow_rule {
	char *name;
	char *texts[ALLOW_LISTS]; /* as they were given; NULL: not */
	uint32_t n[ALLOW_LISTS];
	bool everybody; /* uid = * */
	bool join;      /* may join instances of other users */
	uint32_t uids[ALLOW_ITEMS_MAX];
	uint32_t gids[ALLOW_ITEMS_MAX];
	char *services[ALLOW_ITEMS_MAX]; /* patterns of fnmatch() */
	struct cidr networks[ALLOW_ITEMS_MAX];
	struct allow_range ports[ALLOW_ITEMS_MAX];
};

struct allow {
	struct allow_rule *rules[ALLOW_RULES_MAX];
	uint32_t n_rules; /* 0: everything is allowed */
};

/* A new rule, the last one. NULL: memory, or ALLOW_RULES_MAX. */
struct allow_rule *allow_add(struct allow *allow, const char *name);
void allow_deinit(struct allow *allow);

#define ALLOW_REFUSED 1
/*
 * Sets a list from a text, items between commas and blanks. 0, -ENOMEM, or ALLOW_REFUSED: why says how
 * "value 'text' ..." goes on.
 */
int allow_set(struct allow_rule *rule, enum allow_list list, const char *text, char *why,
	      size_t why_size);

/* The rules that are for such a process, a bit each. */
uint64_t allow_rules_of(const struct allow *allow, uid_t uid, gid_t gid, const gid_t *groups,
			uint32_t n_groups);
/* May a process with these rules register that? False with a sentence. */
bool allow_permits(const struct allow *allow, uint64_t rules, uid_t uid, const struct descriptor *d,
		   char *why, size_t why_size);
/* May it join another user's instance? */
bool allow_joins(const struct allow *allow, uint64_t rules, const struct descriptor *d);

#endif
