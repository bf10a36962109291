/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_RESPONSIBLE_H
#define NACOS_RESPONSIBLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/descriptor.h"

enum responsible_tag {
	RESPONSIBLE_BY_SERVICE, /* 1.x: "GROUP@@service" */
	RESPONSIBLE_BY_ADDRESS  /* 2.x and later: "ip:port", the ip as requests carry it */
};

#define RESPONSIBLE_TAG_MAX 1024u

/* Java's String.hashCode() of a UTF-8 text. */
int32_t responsible_hash(const char *text);
/* Which of n members (n > 0), sorted as text, owns what has this tag. */
uint32_t responsible_index(const char *tag, uint32_t n);
/* The tag's length; 0 when size is too small. */
size_t responsible_tag(enum responsible_tag by, const struct descriptor *d, char *buf, size_t size);

#endif
