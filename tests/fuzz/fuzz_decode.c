/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors from any bytes: agent/segment/decode.c and metadata.c.
 *
 * What is refused has a sentence. What is accepted is a spec that the library's own checks accept as well, and
 * the library's encoding of it decodes to the same descriptor: the two sides have one idea of what is legal.
 */
#include <errno.h>

#include "libclient/encode.h"
#include "libclient/spec.h"
#include "fuzz/fuzz.h"
#include "segment/decode.h"

/* The spec that says what the descriptor says. pairs has room for all. */
static struct onebeat_spec spec_of(const struct descriptor *d, struct onebeat_metadata *pairs)
{
	struct onebeat_spec spec = onebeat_spec_init();

	for (uint32_t i = 0; i < d->n_metadata; i++)
		pairs[i] = (struct onebeat_metadata){ d->metadata[i].key, d->metadata[i].value };
	spec.service = d->service;
	spec.group = d->group;
	spec.cluster = d->cluster;
	spec.namespace_id = d->namespace_id;
	spec.registry = d->registry;
	spec.ip = d->ip;
	spec.port = d->port;
	spec.flags = d->when_listening ? ONEBEAT_WHEN_LISTENING : 0;
	spec.weight = d->weight;
	spec.enabled = d->enabled;
	spec.ephemeral = d->ephemeral;
	spec.policy = d->policy;
	spec.beat_ms = d->beat_ms;
	spec.progress_timeout_ms = d->progress_timeout_ms;
	spec.n_metadata = d->n_metadata;
	spec.metadata = pairs;
	return spec;
}

static void check_fixed_point(const struct descriptor *d)
{
	struct onebeat_metadata pairs[ONEBEAT_METADATA_PAIRS_MAX];
	struct onebeat_spec spec = spec_of(d, pairs);
	struct descriptor *again;
	struct encoded encoded;
	char why[DECODE_WHY_MAX];
	uint32_t *payload;

	FUZZ_CHECK(onebeat__spec_check(&spec) == 0);
	onebeat__encode(&spec, &encoded);
	payload = fuzz_copy((const uint8_t *)encoded.words, encoded.length);
	FUZZ_CHECK(decode_descriptor(payload, encoded.length, &again, why) == 0);
	FUZZ_CHECK(descriptor_equal(d, again));
	FUZZ_CHECK(d->policy == again->policy && d->when_listening == again->when_listening);
	FUZZ_CHECK(d->progress_timeout_ms == again->progress_timeout_ms);
	descriptor_unref(again);
	free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t *payload = fuzz_copy(data, size);
	struct descriptor *d;
	char why[DECODE_WHY_MAX];
	int r;

	r = decode_descriptor(payload, (uint32_t)size, &d, why);
	FUZZ_CHECK(memchr(why, '\0', sizeof(why)));
	FUZZ_CHECK(fuzz_is_line(why));
	if (r < 0) {
		FUZZ_CHECK(r == -EINVAL && !d && why[0]);
	} else {
		FUZZ_CHECK(r == 0 && d && !why[0]);
		check_fixed_point(d);
	}
	descriptor_unref(d);
	free(payload);
	return 0;
}
