/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_METADATA_H
#define SEGMENT_METADATA_H

#include <stdint.h>

#include "base/descriptor.h"
#include "segment/why.h"
#include <onebeat/onebeat.h>
#include <onebeat/segment.h>

/* Metadata as decoded: pairs point into text. The three times are 0 when their keys are not there. */
struct metadata {
	uint32_t n_pairs;
	uint32_t interval_ms; /* preserved.heart.beat.interval */
	uint32_t timeout_ms;  /* preserved.heart.beat.timeout */
	uint32_t delete_ms;   /* preserved.ip.delete.timeout */
	uint32_t n_chars;     /* UTF-16 units of all keys and values */
	uint32_t n_text;
	struct descriptor_pair pairs[ONEBEAT_METADATA_PAIRS_MAX];
	char text[ONEBEAT_LARGE_PAYLOAD];
};

/* Decodes the value of ONEBEAT_FIELD_METADATA and checks its rules. 0, or -EINVAL and a sentence. */
int metadata_decode(const uint8_t *value, uint32_t length, struct metadata *out, char why[WHY_MAX]);
/* The registry's rule: a beat interval lies below both time-outs, given or default. */
int metadata_check_order(const struct metadata *md, uint32_t interval_ms, char why[WHY_MAX]);

#endif
