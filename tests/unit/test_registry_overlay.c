/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
#include "mode.h"
#include "store.h"

#include <criterion/criterion.h>

static struct store store;

static void up(void)
{
	cr_assert_eq(store_init(&store, mode_find("2")), 0);
}

static void down(void)
{
	store_deinit(&store);
}

TestSuite(registry_overlay, .init = up, .fini = down);

static const struct store_key key = {
	.namespace_id = "public",
	.service = "G@@s",
	.cluster = "DEFAULT",
	.ip = "10.0.0.1",
	.port = 80,
	.ephemeral = true,
};

static void put(double weight, const char *metadata, uint64_t now_ms)
{
	struct store_spec spec = { .key = key, .weight = weight, .enabled = true, .healthy = true };

	cr_assert_eq(metamap_parse(&spec.metadata, metadata), 0);
	cr_assert_eq(store_put(&store, &spec, now_ms), 0);
}

static void lay_over(const double *weight, const bool *enabled, const char *metadata,
		     uint64_t now_ms)
{
	struct metamap m;
	struct store_update update = {
		.weight = weight,
		.enabled = enabled,
		.metadata = metadata ? &m : NULL,
	};

	cr_assert_eq(metamap_parse(&m, metadata), 0);
	cr_assert_eq(store_lay_over(&store, &key, &update, now_ms), 0);
}

static void expect(double weight, bool enabled, const char *metadata)
{
	const struct store_instance *inst = store_find(&store, &key);

	cr_assert(inst);
	cr_assert_float_eq(inst->weight, weight, 1e-9);
	cr_assert_eq(inst->enabled, enabled);
	cr_assert_str_eq(metamap_json(&inst->metadata), metadata);
}

Test(registry_overlay, what_is_left_alone_shows_through)
{
	const double three = 3.0;
	const bool off = false;

	put(1.0, "a=1,b=1", 0);
	lay_over(&three, NULL, NULL, 0);
	expect(3.0, true, "{\"a\":\"1\",\"b\":\"1\"}");
	lay_over(NULL, &off, NULL, 0);
	expect(3.0, false, "{\"a\":\"1\",\"b\":\"1\"}");
	lay_over(NULL, NULL, "b=2,c=2", 0);
	expect(3.0, false, "{\"a\":\"1\",\"b\":\"2\",\"c\":\"2\"}");
}

Test(registry_overlay, a_later_registration_is_seen_below_it)
{
	const double three = 3.0;

	put(1.0, "a=1", 0);
	lay_over(&three, NULL, "b=2", 0);
	put(5.0, "c=5", 0);
	expect(3.0, true, "{\"c\":\"5\",\"b\":\"2\"}");
	lay_over(NULL, NULL, "d=4", 0);
	expect(3.0, true, "{\"c\":\"5\",\"d\":\"4\"}");
}

Test(registry_overlay, keys_that_need_escapes_are_compared_as_they_stand)
{
	put(1.0, "{\"a\\\"b\":\"1\",\"\xc3\xa4\":\"1\"}", 0);
	lay_over(NULL, NULL, "{\"a\\\"b\":\"2\",\"\\u00e4\":\"2\"}", 0);
	expect(1.0, true, "{\"a\\\"b\":\"2\",\"\xc3\xa4\":\"2\"}");
}

Test(registry_overlay, one_may_come_before_its_instance)
{
	const double three = 3.0;

	lay_over(&three, NULL, "a=1", 0);
	put(1.0, NULL, 1000);
	expect(3.0, true, "{\"a\":\"1\"}");
}

Test(registry_overlay, it_outlives_its_instance_by_a_minute)
{
	const double three = 3.0;

	put(1.0, NULL, 0);
	lay_over(&three, NULL, NULL, 0);
	store_remove(&store, store_find(&store, &key), 1000);
	cr_assert_eq(store_tick(&store, 60999), 61000);
	put(1.0, NULL, 60999);
	expect(3.0, true, "{}");
	store_remove(&store, store_find(&store, &key), 100000);
	store_tick(&store, 160000);
	put(1.0, NULL, 160000);
	expect(1.0, true, "{}");
}

Test(registry_overlay, it_stays_as_long_as_the_instance_does)
{
	const double three = 3.0;

	put(1.0, NULL, 0);
	lay_over(&three, NULL, NULL, 0);
	for (uint64_t now_ms = 0; now_ms < 300000; now_ms += 5000) {
		store_beat(store_find(&store, &key), now_ms);
		store_tick(&store, now_ms);
	}
	expect(3.0, true, "{}");
}

Test(registry_overlay, forgetting_all_forgets_it)
{
	const double three = 3.0;

	put(1.0, NULL, 0);
	lay_over(&three, NULL, "a=1", 0);
	store_clear(&store);
	put(1.0, NULL, 0);
	expect(1.0, true, "{}");
}
