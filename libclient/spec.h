/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_SPEC_H
#define ONEBEAT_SPEC_H

#include <onebeat/onebeat.h>

#define SPEC_BEAT_MS_DEFAULT UINT32_C(5000)
#define SPEC_BEAT_MS_MIN UINT32_C(1000)

/* 0, or the code of the first rule that is broken, in the order of the public table. */
int onebeat__spec_check(const struct onebeat_spec *spec);
/* The part of it that metadata has; beat_ms as in the spec. */
int onebeat__metadata_check(const struct onebeat_metadata *pairs, uint32_t n, uint32_t beat_ms);

#endif
