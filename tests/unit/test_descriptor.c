/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
#include <criterion/criterion.h>

#include "base/descriptor.h"

static const struct descriptor_pair pairs[] = { { "zone", "a" }, { "version", "1" } };
static const struct descriptor plain = { .registry = "",
					 .namespace_id = "public",
					 .group = "DEFAULT_GROUP",
					 .service = "orders",
					 .cluster = "DEFAULT",
					 .ip = "10.0.0.1",
					 .port = 8080,
					 .enabled = true,
					 .ephemeral = true,
					 .weight = 1.0,
					 .beat_ms = 5000 };

static uint32_t digest_of(const struct descriptor *d, const struct descriptor_pair *metadata,
			  uint32_t n)
{
	struct descriptor *whole = descriptor_new(d, metadata, n);
	uint32_t digest = descriptor_digest(whole);

	descriptor_unref(whole);
	return digest;
}

/* A journal of another build is read with it: it is a number that stays. */
Test(descriptor, digest_is_the_same_for_ever)
{
	cr_assert_eq(digest_of(&plain, pairs, 2), UINT32_C(0xbb0eb23d));
}

Test(descriptor, digest_changes_with_each_thing_that_the_registry_sees)
{
	static const struct descriptor_pair joined[] = { { "zone", "aversion" }, { "", "1" } };
	struct descriptor d[6] = { plain, plain, plain, plain, plain, plain };
	const uint32_t digest = digest_of(&plain, pairs, 2);

	d[0].weight = 1.5;
	d[1].enabled = false;
	d[2].ephemeral = false;
	d[3].beat_ms = 5001;
	d[4].cluster = "DEFAULTS";
	d[5].policy = 1; /* no affair of the registry's */
	for (int i = 0; i < 5; i++)
		cr_assert_neq(digest_of(&d[i], pairs, 2), digest, "%d", i);
	cr_assert_eq(digest_of(&d[5], pairs, 2), digest);
	cr_assert_neq(digest_of(&plain, pairs, 1), digest);
	cr_assert_neq(digest_of(&plain, joined, 2), digest);
}
