/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_ENCODE_H
#define ONEBEAT_ENCODE_H

#include <stdbool.h>

#include <onebeat/onebeat.h>
#include <onebeat/segment.h>

/* A descriptor as it stands in a block. Lengths are in bytes, multiples of 4. */
struct encoded {
	uint32_t length;
	uint32_t key_end;      /* where the texts of its key end */
	uint32_t identity_end; /* where the rest of its identity does */
	uint32_t words[ONEBEAT_LARGE_PAYLOAD / 4];
};

/* Of a spec that has passed onebeat__spec_check(). */
void onebeat__encode(const struct onebeat_spec *spec, struct encoded *out);
/* Copies what is in use. */
void onebeat__encode_copy(struct encoded *to, const struct encoded *from);
void onebeat__encode_set_enabled(struct encoded *e, bool enabled);
/* The same registry, namespace, group, service, ip and port. */
bool onebeat__encode_same_key(const struct encoded *a, const struct encoded *b);
/* The same key and all else that an update may not change: cluster, ephemeral, policy. */
bool onebeat__encode_same_identity(const struct encoded *a, const struct encoded *b);

static inline uint32_t encode_class(const struct encoded *e)
{
	return e->length <= ONEBEAT_SMALL_PAYLOAD ? ONEBEAT_CLASS_SMALL : ONEBEAT_CLASS_LARGE;
}

#endif
