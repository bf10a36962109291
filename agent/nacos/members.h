/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_MEMBERS_H
#define NACOS_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nacos/address.h"
#include "nacos/api.h"

#define MEMBERS_MAX 64u

enum member_state {
	MEMBER_UP,
	MEMBER_SUSPICIOUS,
	MEMBER_DOWN /* DOWN, or any other word: it owns nothing */
};

struct member {
	char address[ADDRESS_SIZE]; /* as the cluster sees it */
	enum member_state state;
};

enum members_verdict {
	MEMBERS_OK,
	MEMBERS_DENIED, /* 401, 403: it may only be asked with a token */
	MEMBERS_FAILED, /* transient, or a reply that makes no sense */
	MEMBERS_NO_API  /* ask by another path */
};

struct members {
	enum members_verdict verdict;
	uint32_t n;        /* 0 unless MEMBERS_OK */
	uint32_t n_owners; /* the first so many are UP or SUSPICIOUS: what responsible_index() counts */
	unsigned int version; /* the first number of the servers' version; 0: not said */
	char text[128];       /* what went wrong, one printable line; "" when all is well */
	struct member members[MEMBERS_MAX]; /* owners first, both parts sorted as text, none twice */
};

#define MEMBERS_PATHS 4u
/*
 * Where to ask, by GET: 0 for 1.4 and 2.x, and, where that is no API, 1 (1.4), 2 (2.x), 3 (3.x, needs an admin's
 * token). 0 when size is too small.
 */
size_t members_path(const char *context, unsigned int which, char *buf, size_t size);

/* Reads any of their replies (nacos-http 1.9). body may hold any bytes. */
void members_read(int status, const char *body, size_t n_body, struct members *out);

#endif
