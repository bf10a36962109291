/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_REGISTRIES_H
#define ONEBEAT_REGISTRIES_H

#include <onebeat/onebeat.h>

#include "encode.h"

/* The registries that a spec names; one of them with an empty name when it names none. */
struct registries {
	uint32_t n;
	char names[ONEBEAT_REGISTRIES_MAX][ONEBEAT_REGISTRY_MAX + 1];
};

/* "NAME,NAME,..."; NULL is empty. 0 or the code of the rule that is broken. */
int onebeat__registries_read(struct registries *out, const char *text);
/* The spec as it goes to registry k alone. */
void onebeat__registries_encode(const struct registries *r, uint32_t k,
				const struct onebeat_spec *spec, struct encoded *out);

#endif
