/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which member owns an instance
 *
 * Every member of a cluster computes the owner from the same list, so a client can as well: the hash
 * of a tag, modulo the number of members, as an index into those that are UP or SUSPICIOUS, sorted as
 * text. The arithmetic is Java's: hashCode() over UTF-16 units in 32 bits that overflow, and a
 * remainder that keeps the sign, which is dropped then (nacos-http 2.5). Being wrong is not fatal: a
 * member that is not the owner forwards.
 */
#include "nacos/responsible.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The character at *p, which moves behind it. What is no UTF-8 counts byte by byte. */
static uint32_t next_character(const unsigned char **p)
{
	const unsigned char *u = *p;
	uint32_t c = *u;
	unsigned int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

	(*p)++;
	for (unsigned int i = 1; i <= more; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return c;
	}
	if (more > 0)
		c &= 0x3fu >> more;
	for (; more > 0; more--, (*p)++)
		c = c << 6 | (**p & 0x3f);
	return c;
}

int32_t responsible_hash(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t hash = 0;

	while (*p) {
		uint32_t c = next_character(&p);

		if (c >= 0x10000) {
			hash = hash * 31 + (0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + (c & 0x3ff);
		}
		hash = hash * 31 + c;
	}
	return (int32_t)hash;
}

uint32_t responsible_index(const char *tag, uint32_t n)
{
	int32_t rest = responsible_hash(tag) % INT32_MAX;

	assert(n > 0);
	return (uint32_t)(rest < 0 ? -rest : rest) % n;
}

size_t responsible_tag(enum responsible_tag by, const struct descriptor *d, char *buf, size_t size)
{
	bool v6 = strchr(d->ip, ':') != NULL;
	int n;

	if (by == RESPONSIBLE_BY_SERVICE)
		n = snprintf(buf, size, "%s@@%s", d->group, d->service);
	else
		n = snprintf(buf, size, "%s%s%s:%u", v6 ? "[" : "", d->ip, v6 ? "]" : "", d->port);
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}
