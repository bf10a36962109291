/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_DECODE_H
#define SEGMENT_DECODE_H

#include <stdint.h>

#include "base/descriptor.h"
#include <onebeat/segment.h>

#define DECODE_WHY_MAX 128

/*
 * Decodes a private copy of a descriptor (encoding 1) and checks every rule that the library checks, because a
 * client may be another library or hostile. 0 and a new descriptor; -EINVAL and a sentence naming field, value
 * and rule; -ENOMEM. Empty texts become the defaults of the field, but registry, namespace and ip stay "".
 */
int decode_descriptor(const uint32_t *payload, uint32_t length, struct descriptor **out,
		      char why[DECODE_WHY_MAX]);

#endif
