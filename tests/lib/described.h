/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_DESCRIBED_H
#define TESTS_LIB_DESCRIBED_H

/* Versions that describe themselves: length and every word follow from slot and version. */

#include "lib/writer.h"
#include "segment/drain.h"

static inline uint32_t described_word(uint32_t slot, uint32_t version, uint32_t i)
{
	return (version * 0x9e3779b1u) ^ (i * 0x85ebca6bu) ^ (slot << 20);
}

static inline uint32_t described_length(const struct memory *m, uint32_t slot, uint32_t version)
{
	return (version * 229 + slot) % (memory_payload_max(m, slot) / 4 + 1) * 4;
}

static inline void described_publish(const struct memory *m, uint32_t slot, uint32_t generation,
				     uint32_t version)
{
	uint32_t payload[ONEBEAT_LARGE_PAYLOAD / 4];
	uint32_t length = described_length(m, slot, version);

	for (uint32_t i = 0; i < length / 4; i++)
		payload[i] = described_word(slot, version, i);
	writer_publish(m, slot, generation, version, ONEBEAT_OP_LIVE, payload, length);
}

/* Is the copy the version that it says it is, whole? */
static inline bool described_is_whole(const struct memory *m, uint32_t slot,
				      const struct drain_copy *copy)
{
	if (copy->op != ONEBEAT_OP_LIVE || copy->length != described_length(m, slot, copy->version))
		return false;
	for (uint32_t i = 0; i < copy->length / 4; i++) {
		if (copy->payload[i] != described_word(slot, copy->version, i))
			return false;
	}
	return true;
}

#endif
