/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "metamap.h"
#include "mode.h"
#include "store.h"

static struct store store;

static void open_store(const char *mode)
{
	cr_assert_eq(store_init(&store, mode_find(mode)), 0);
}

static struct store_key a_key(void)
{
	return (struct store_key){
		.namespace_id = "public",
		.service = "DEFAULT_GROUP@@orders",
		.cluster = "DEFAULT",
		.ip = "10.0.0.1",
		.port = 8080,
		.ephemeral = true,
	};
}

static int put(const struct store_key *key, const char *metadata, bool healthy, uint64_t now_ms)
{
	struct store_spec spec = { .key = *key, .weight = 1.0, .enabled = true };
	int r;

	spec.healthy = healthy;
	cr_assert_eq(metamap_parse(&spec.metadata, metadata), 0);
	r = store_put(&store, &spec, now_ms);
	metamap_deinit(&spec.metadata);
	return r;
}

/* A fresh store with one instance, registered at time 0. */
static void given_one(const char *mode, const char *metadata)
{
	struct store_key key = a_key();

	open_store(mode);
	cr_assert_eq(put(&key, metadata, true, 0), 0);
}

static struct store_instance *the_one(void)
{
	struct store_key key = a_key();

	return store_find(&store, &key);
}

static void close_store(void)
{
	store_deinit(&store);
}

TestSuite(registry_store, .fini = close_store);

/* Verdicts fall at ticks of five seconds from the registration, not when a time-out runs out. */
Test(registry_store, unhealthy_at_the_tick_after_15_s)
{
	given_one("2", NULL);
	store_beat(the_one(), 1000);
	store_tick(&store, 19999);
	cr_assert(the_one()->healthy);
	store_tick(&store, 20000);
	cr_assert_not(the_one()->healthy);
}

Test(registry_store, removed_at_the_tick_after_30_s)
{
	given_one("2", NULL);
	store_beat(the_one(), 1000);
	store_tick(&store, 34999);
	cr_assert_not_null(the_one());
	store_tick(&store, 35000);
	cr_assert_null(the_one());
}

/* Silence of exactly the time-out is not longer than it. */
Test(registry_store, a_timeout_that_is_just_reached_is_not_passed)
{
	given_one("2", NULL);
	store_tick(&store, 15000);
	cr_assert(the_one()->healthy);
	store_tick(&store, 30000);
	cr_assert_not_null(the_one());
	cr_assert_not(the_one()->healthy);
}

Test(registry_store, a_beat_heals_and_beats_keep_alive)
{
	given_one("2", NULL);
	store_tick(&store, 20000);
	cr_assert_not(the_one()->healthy);
	store_beat(the_one(), 21000);
	cr_assert(the_one()->healthy);
	for (uint64_t now = 21000; now < 600000; now += 5000) {
		store_beat(the_one(), now);
		store_tick(&store, now);
		cr_assert(the_one() && the_one()->healthy, "at %lu ms", (unsigned long)now);
	}
}

/* A tick that comes very late must not skip the verdicts that fell meanwhile. */
Test(registry_store, ticks_missed_in_a_pause_are_made_up)
{
	given_one("2", NULL);
	store_tick(&store, 3600000);
	cr_assert_null(the_one());
}

Test(registry_store, metadata_sets_the_timeouts)
{
	given_one("2", "preserved.heart.beat.timeout=1000,preserved.ip.delete.timeout=12000");
	store_tick(&store, 5000);
	cr_assert_not(the_one()->healthy);
	store_tick(&store, 10000);
	cr_assert_not_null(the_one());
	store_tick(&store, 15000);
	cr_assert_null(the_one());
}

static const char *const no_numbers[] = { "15s", "15.0", "-5", " ", "" };

/* The trap of newer servers: a time-out that is no number is zero, so the first tick deletes. */
Test(registry_store, a_delete_timeout_that_is_no_number_deletes_at_once_on_2)
{
	char metadata[64];

	for (size_t i = 0; i < sizeof(no_numbers) / sizeof(no_numbers[0]); i++) {
		snprintf(metadata, sizeof(metadata), "{\"preserved.ip.delete.timeout\":\"%s\"}",
			 no_numbers[i]);
		given_one("2", metadata);
		store_tick(&store, 4999);
		cr_assert_not_null(the_one());
		store_tick(&store, 5000);
		cr_assert_null(the_one(), "with \"%s\"", no_numbers[i]);
		store_deinit(&store);
		given_one("1.4", metadata);
		store_tick(&store, 30000);
		cr_assert_not_null(the_one(), "1.4 with \"%s\"", no_numbers[i]);
		store_deinit(&store);
	}
}

/* Newer servers drop a silent client after three minutes whatever it was promised. */
Test(registry_store, nobody_is_silent_for_longer_than_180_s_on_2)
{
	static const char patient[] =
		"preserved.heart.beat.timeout=600000,preserved.ip.delete.timeout=900000";

	given_one("2", patient);
	store_tick(&store, 180000);
	cr_assert_not_null(the_one());
	store_tick(&store, 185000);
	cr_assert_null(the_one());
	store_deinit(&store);
	given_one("1.4", patient);
	store_tick(&store, 260000);
	cr_assert(the_one() && the_one()->healthy);
}

Test(registry_store, enable_client_beat_exempts_on_2)
{
	given_one("2", "enableClientBeat=true");
	store_tick(&store, 120000);
	cr_assert(the_one() && the_one()->healthy);
	store_deinit(&store);
	given_one("1.4", "enableClientBeat=true");
	store_tick(&store, 120000);
	cr_assert_null(the_one());
}

Test(registry_store, persistent_instances_stay)
{
	struct store_key key = a_key();

	open_store("2");
	key.ephemeral = false;
	cr_assert_eq(put(&key, NULL, true, 0), 0);
	cr_assert_eq(store_tick(&store, 3600000), UINT64_MAX, "nothing is ever due");
	cr_assert(store_find(&store, &key)->healthy);
}

Test(registry_store, the_cluster_is_part_of_the_identity_on_1_4_only)
{
	struct store_key other = a_key();

	other.cluster = "B";
	given_one("1.4", NULL);
	cr_assert_null(store_find(&store, &other));
	cr_assert_eq(put(&other, NULL, true, 0), 0);
	cr_assert_eq(store.instances.n_nodes, 2);
	store_deinit(&store);

	given_one("2", NULL);
	cr_assert_eq(put(&other, NULL, true, 0), 0);
	cr_assert_eq(store.instances.n_nodes, 1);
	cr_assert_str_eq(the_one()->cluster, "B");
}

Test(registry_store, every_other_part_of_the_key_tells_instances_apart)
{
	struct store_key keys[4];

	given_one("2", NULL);
	for (int i = 0; i < 4; i++)
		keys[i] = a_key();
	keys[0].namespace_id = "dev";
	keys[1].service = "OTHER@@orders";
	keys[2].ip = "10.0.0.11";
	keys[3].port = 8081;
	for (size_t i = 0; i < 4; i++) {
		cr_assert_null(store_find(&store, &keys[i]), "key %zu", i);
		cr_assert_eq(put(&keys[i], NULL, true, 0), 0);
		cr_assert_eq(store.instances.n_nodes, i + 2);
	}
	cr_assert_eq(store.services.n_nodes, 3);
}

Test(registry_store, a_service_is_of_one_kind_on_2_and_of_both_on_1_4)
{
	struct store_key persistent = a_key();

	persistent.ephemeral = false;
	given_one("2", NULL);
	cr_assert_eq(put(&persistent, NULL, true, 0), STORE_OTHER_KIND);
	cr_assert_null(store_find(&store, &persistent));
	store_deinit(&store);

	given_one("1.4", NULL);
	cr_assert_eq(put(&persistent, NULL, true, 0), 0);
	cr_assert_neq(store_find(&store, &persistent), the_one());
}

Test(registry_store, registering_again_replaces_and_resets_the_beat_clock)
{
	struct store_key key = a_key();

	given_one("2", "a=1");
	cr_assert_eq(put(&key, "b=2", true, 14000), 0);
	cr_assert_eq(store.instances.n_nodes, 1);
	cr_assert_str_eq(metamap_json(&the_one()->metadata), "{\"b\":\"2\"}");
	store_tick(&store, 25000);
	cr_assert(the_one()->healthy);
}

Test(registry_store, registering_again_sets_health_on_2_and_keeps_it_on_1_4)
{
	struct store_key key = a_key();

	given_one("2", NULL);
	put(&key, NULL, false, 1000);
	cr_assert_not(the_one()->healthy);
	store_deinit(&store);

	given_one("1.4", NULL);
	put(&key, NULL, false, 1000);
	cr_assert(the_one()->healthy);
}

Test(registry_store, an_empty_service_goes_after_two_minutes)
{
	struct store_key key = a_key();

	given_one("2", NULL);
	store_remove(&store, the_one(), 10000);
	cr_assert_eq(store_tick(&store, 129999), 130000, "due when the service goes");
	cr_assert_not_null(store_service(&store, key.namespace_id, key.service));
	cr_assert_eq(store_tick(&store, 130000), UINT64_MAX);
	cr_assert_null(store_service(&store, key.namespace_id, key.service));
}

Test(registry_store, a_service_that_fills_again_stays)
{
	struct store_key key = a_key();

	given_one("2", NULL);
	store_remove(&store, the_one(), 10000);
	put(&key, NULL, true, 100000);
	cr_assert_eq(store_tick(&store, 100000), 105000, "the instance's first tick is next");
	for (uint64_t now = 105000; now < 200000; now += 5000) {
		store_beat(the_one(), now);
		store_tick(&store, now);
	}
	cr_assert_not_null(the_one());
}

/* The queue of ticks must stay in order while instances come, go and are renewed. */
Test(registry_store, many_instances_expire_each_at_its_time)
{
	enum {
		N = 3000
	};
	struct store_key key = a_key();
	char ip[32];

	open_store("2");
	key.ip = ip;
	for (unsigned int i = 0; i < N; i++) {
		snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 256, i % 256);
		store_tick(&store, i);
		cr_assert_eq(put(&key, NULL, true, i), 0);
	}
	/* Each is removed at its seventh tick, 35 s after it came. */
	for (unsigned int i = 0; i < N; i += 50) {
		store_tick(&store, 35000 + i);
		cr_assert_eq(store.instances.n_nodes, N - 1 - i);
	}
}

/* A copy has the same verdicts at the same times, and kinds and settings. */
Test(registry_store, a_copy_goes_on_as_the_original)
{
	static struct store copy;
	struct store_key key = a_key();
	struct store_instance *inst;

	given_one("2", "a=b");
	store_beat(the_one(), 3000);
	store_tick(&store, 20000);
	cr_assert_eq(store_init(&copy, mode_find("2")), 0);
	cr_assert_eq(store_copy(&copy, &store), 0);
	inst = store_find(&copy, &key);
	cr_assert_not_null(inst);
	cr_assert_not(inst->healthy);
	cr_assert_str_eq(metamap_json(&inst->metadata), "{\"a\":\"b\"}");
	cr_assert_eq(store_tick(&copy, 34999), 35000);
	store_tick(&copy, 35000);
	cr_assert_null(store_find(&copy, &key));
	cr_assert_not_null(the_one());
	store_deinit(&copy);
}

/* Two clusters of one address are two instances in 1.4 alone: the younger stays. */
Test(registry_store, another_mode_keeps_the_instances)
{
	struct store_key key = a_key();

	given_one("1.4", NULL);
	key.cluster = "OTHER";
	cr_assert_eq(put(&key, NULL, true, 1000), 0);
	cr_assert_eq(store.instances.n_nodes, 2);
	store_set_mode(&store, mode_find("2"), 2000);
	cr_assert_eq(store.instances.n_nodes, 1);
	cr_assert_str_eq(the_one()->cluster, "OTHER");
	store_set_mode(&store, mode_find("1.4"), 3000);
	cr_assert_null(the_one());
	cr_assert_not_null(store_find(&store, &key));
}

static int n_expired;

static void count(void *context, const struct store_key *key)
{
	cr_assert_eq(context, &store);
	cr_assert_str_eq(key->ip, "10.0.0.1");
	n_expired++;
}

/* Who asks is told of what silence removes, and of nothing else. */
Test(registry_store, expiry_is_told)
{
	struct store_key key = a_key();

	given_one("2", NULL);
	store.on_expiry = count;
	store.on_expiry_context = &store;
	store_remove(&store, the_one(), 1000);
	cr_assert_eq(put(&key, NULL, true, 1000), 0);
	store_tick(&store, 60000);
	cr_assert_eq(n_expired, 1);
	cr_assert_null(the_one());
}

/* Nothing is left of what a clear forgets, and nothing of it expires later. */
Test(registry_store, a_clear_forgets_everything)
{
	struct store_key key = a_key();

	given_one("2", NULL);
	store_clear(&store);
	cr_assert_null(the_one());
	cr_assert_eq(store_tick(&store, 60000), UINT64_MAX);
	cr_assert_eq(put(&key, NULL, true, 61000), 0);
	cr_assert_not_null(the_one());
}
