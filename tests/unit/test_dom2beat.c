/* SPDX-License-Identifier: Apache-2.0 */
/* dom2Beat: keys, replacing, the gauge, and readers that read on while the watcher writes. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "beat/dom2beat.h"
#include "onebeat/segment.h"

static struct dom2beat map;

static void set_up(void)
{
	rcu_register_thread();
	cr_assert_eq(dom2beat_init(&map), 0);
}

static void tear_down(void)
{
	dom2beat_deinit(&map);
	rcu_unregister_thread();
}

TestSuite(dom2beat, .init = set_up, .fini = tear_down);

static struct descriptor plain_descriptor(void)
{
	return (struct descriptor){
		.registry = "",
		.namespace_id = "public",
		.group = "DEFAULT_GROUP",
		.service = "orders",
		.cluster = "DEFAULT",
		.ip = "10.0.0.1",
		.port = 8080,
		.enabled = true,
		.ephemeral = true,
		.weight = 1.0,
		.beat_ms = 5000,
	};
}

static struct dom2beat_key plain_key(void)
{
	struct descriptor d = plain_descriptor();
	struct dom2beat_key key;

	dom2beat_key_of(&d, &key);
	return key;
}

/* Puts a descriptor into the map, for the given beat or a new one. */
static struct beat *put(const struct descriptor *from, struct beat *beat, uint32_t version)
{
	struct descriptor *d = descriptor_new(from, NULL, 0);
	struct dom2beat_key key;

	dom2beat_key_of(d, &key);
	if (!beat)
		beat = beat_new(1, dom2beat_hash(&key));
	dom2beat_set(&map, dom2beat_node_new(beat, d, version, NULL, 0));
	descriptor_unref(d);
	return beat;
}

/* The version that is found under a key; 0 for none. */
static uint32_t version_at(const struct dom2beat_key *key)
{
	const struct dom2beat_node *node;
	uint32_t version;

	rcu_read_lock();
	node = dom2beat_find(&map, key);
	version = node ? node->version : 0;
	rcu_read_unlock();
	return version;
}

static uint64_t size(void)
{
	return atomic_load(&map.size);
}

Test(dom2beat, finds_what_was_set_and_nothing_in_an_empty_map)
{
	struct descriptor d = plain_descriptor();
	struct dom2beat_key key = plain_key();

	cr_assert_eq(version_at(&key), 0);
	put(&d, NULL, 7);
	cr_assert_eq(version_at(&key), 7);
}

Test(dom2beat, every_part_of_the_key_tells_instances_apart)
{
	struct descriptor d = plain_descriptor();
	struct dom2beat_key keys[7];

	put(&d, NULL, 1);
	for (unsigned int i = 0; i < 7; i++)
		keys[i] = plain_key();
	keys[0].registry = "other";
	keys[1].namespace_id = "other";
	keys[2].group = "other";
	keys[3].service = "other";
	keys[4].ip = "10.0.0.2";
	keys[5].port = 8081;
	for (unsigned int i = 0; i < 6; i++)
		cr_assert_eq(version_at(&keys[i]), 0, "key %u", i);
	cr_assert_eq(version_at(&keys[6]), 1);
}

Test(dom2beat, cluster_weight_and_flags_are_not_part_of_the_key)
{
	struct descriptor d = plain_descriptor();
	struct dom2beat_key key = plain_key();

	d.cluster = "other";
	d.weight = 3;
	d.enabled = false;
	d.ephemeral = false;
	put(&d, NULL, 9);
	cr_assert_eq(version_at(&key), 9);
}

Test(dom2beat, a_text_does_not_run_into_the_next_one)
{
	struct dom2beat_key a = plain_key();
	struct dom2beat_key b = plain_key();

	a.group = "ab";
	a.service = "c";
	b.group = "a";
	b.service = "bc";
	cr_assert_neq(dom2beat_hash(&a), dom2beat_hash(&b));
}

static uint32_t hash_in_a_new_process(void)
{
	struct dom2beat_key key = plain_key();
	uint32_t hash = 0;
	int ends[2];
	pid_t pid;

	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		hash = dom2beat_hash(&key);
		_exit(write(ends[1], &hash, sizeof(hash)) != sizeof(hash));
	}
	cr_assert_eq(read(ends[0], &hash, sizeof(hash)), sizeof(hash));
	waitpid(pid, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	return hash;
}

/* Local processes choose the keys: the hash must not be one that they can compute. */
Test(dom2beat, hashes_differ_from_process_to_process)
{
	struct dom2beat_key key = plain_key();

	cr_assert_neq(hash_in_a_new_process(), hash_in_a_new_process());
	cr_assert_eq(dom2beat_hash(&key), dom2beat_hash(&key));
}

Test(dom2beat, keys_spread_over_the_buckets)
{
	uint32_t n_in_bucket[64] = { 0 };
	struct dom2beat_key key = plain_key();

	for (uint32_t i = 0; i < 64000; i++) {
		key.port = (uint16_t)i;
		n_in_bucket[dom2beat_hash(&key) % 64]++;
	}
	for (int i = 0; i < 64; i++)
		cr_assert(n_in_bucket[i] > 800 && n_in_bucket[i] < 1200, "%d: %u", i,
			  n_in_bucket[i]);
}

Test(dom2beat, setting_again_replaces_the_node_and_keeps_the_beat)
{
	struct descriptor d = plain_descriptor();
	struct dom2beat_key key = plain_key();
	struct beat *beat = put(&d, NULL, 1);

	d.weight = 2;
	cr_assert_eq(put(&d, beat, 2), beat);
	rcu_read_lock();
	cr_assert_eq(dom2beat_find(&map, &key), rcu_dereference(beat->node));
	cr_assert_eq(dom2beat_find(&map, &key)->beat, beat);
	cr_assert_eq(dom2beat_find(&map, &key)->version, 2);
	cr_assert_eq(dom2beat_find(&map, &key)->descriptor->weight, 2);
	rcu_read_unlock();
}

Test(dom2beat, a_replaced_node_lives_until_its_reader_is_done)
{
	struct descriptor d = plain_descriptor();
	struct dom2beat_key key = plain_key();
	struct beat *beat = put(&d, NULL, 1);
	const struct dom2beat_node *old;

	rcu_read_lock();
	old = dom2beat_find(&map, &key);
	d.weight = 2;
	put(&d, beat, 2);
	cr_assert_eq(old->version, 1);
	cr_assert_eq(old->descriptor->weight, 1);
	cr_assert_str_eq(old->descriptor->service, "orders");
	rcu_read_unlock();
}

Test(dom2beat, a_removed_instance_is_not_found_and_can_come_back)
{
	struct descriptor d = plain_descriptor();
	struct dom2beat_key key = plain_key();

	for (uint32_t round = 1; round < 100; round++) {
		struct beat *beat = put(&d, NULL, round);

		cr_assert_eq(version_at(&key), round);
		cr_assert_eq(size(), 1);
		dom2beat_remove(&map, beat);
		cr_assert_eq(version_at(&key), 0);
		cr_assert_eq(size(), 0);
	}
}

Test(dom2beat, the_gauge_counts_instances_not_changes)
{
	struct descriptor d = plain_descriptor();
	struct beat *beats[100];

	cr_assert_eq(size(), 0);
	for (uint16_t i = 0; i < 100; i++) {
		d.port = (uint16_t)(1000 + i);
		beats[i] = put(&d, NULL, 1);
		put(&d, beats[i], 2);
		cr_assert_eq(size(), i + 1u);
	}
	for (uint16_t i = 0; i < 50; i++)
		dom2beat_remove(&map, beats[i]);
	cr_assert_eq(size(), 50);
}

Test(dom2beat, a_beat_that_was_never_in_the_map_can_be_removed)
{
	dom2beat_remove(&map, beat_new(1, 2));
	cr_assert_eq(size(), 0);
}

Test(dom2beat, a_node_carries_a_copy_of_its_holders)
{
	struct dom2beat_holder holders[2] = { { .pid = 17, .program = "nginx" },
					      { .pid = 18, .uid = 33, .attached = true } };
	struct descriptor from = plain_descriptor();
	struct descriptor *d = descriptor_new(&from, NULL, 0);
	struct dom2beat_key key = plain_key();
	struct beat *beat = beat_new(1, dom2beat_hash(&key));
	struct dom2beat_node *node = dom2beat_node_new(beat, d, 1, holders, 2);

	descriptor_unref(d);
	memset(holders, 0, sizeof(holders));
	dom2beat_set(&map, node);
	rcu_read_lock();
	node = dom2beat_find(&map, &key);
	cr_assert_eq(node->n_holders, 2);
	cr_assert_eq(node->holders[0].pid, 17);
	cr_assert_str_eq(node->holders[0].program, "nginx");
	cr_assert_eq(node->holders[1].uid, 33);
	cr_assert(node->holders[1].attached);
	rcu_read_unlock();
}

Test(dom2beat, a_note_replaces_the_last_one_and_can_be_cleared)
{
	struct descriptor d = plain_descriptor();
	struct beat *beat = put(&d, NULL, 1);

	for (int code = 400; code < 405; code++) {
		struct beat_note *note = calloc(1, sizeof(*note));
		const struct beat_note *before = beat->note;

		note->code = code;
		rcu_read_lock();
		beat_set_note(beat, note);
		cr_assert_eq(rcu_dereference(beat->note)->code, code);
		if (before)
			cr_assert_eq(before->code, code - 1);
		rcu_read_unlock();
	}
	beat_set_note(beat, NULL);
	cr_assert_null(beat->note);
	beat_set_note(beat, NULL);
}

Test(dom2beat, a_note_fits_a_status_line)
{
	cr_assert_eq(sizeof(((struct beat_note *)NULL)->text), ONEBEAT_STATUS_TEXT_WORDS * 4);
}

Test(dom2beat, a_new_beat_is_absent_and_asks_for_nothing)
{
	struct beat *beat = beat_new(3, 4);

	cr_assert_eq(beat->id, 3);
	cr_assert_eq(beat->key_hash, 4);
	cr_assert_eq(machine_state(&beat->machine), MACHINE_ABSENT);
	cr_assert_eq(machine_due_ms(&beat->machine), UINT64_MAX);
	dom2beat_remove(&map, beat);
}

/* The sanitizer's leak check judges this one. */
Test(dom2beat, ending_the_map_frees_what_is_still_in_it)
{
	struct descriptor d = plain_descriptor();

	for (uint16_t i = 0; i < 500; i++) {
		struct beat *beat;

		d.port = i;
		beat = put(&d, NULL, 1);
		beat->request = strdup("PUT");
		beat_set_note(beat, calloc(1, sizeof(struct beat_note)));
	}
	dom2beat_deinit(&map);
	cr_assert_null(map.table);
	cr_assert_eq(size(), 0);
	dom2beat_deinit(&map);
}

Test(dom2beat, reserving_changes_nothing_but_room)
{
	struct descriptor from = plain_descriptor();
	struct dom2beat_key key = plain_key();

	put(&from, NULL, 1);
	dom2beat_reserve(&map, 50000);
	cr_assert_eq(version_at(&key), 1);
	cr_assert_eq(size(), 1);
	dom2beat_reserve(&map, 0);
	cr_assert_eq(version_at(&key), 1);
}

/* Readers against the writer */

#define N_INSTANCES 2000u
#define N_READERS 3
#define N_ROUNDS 40u

struct reading {
	_Atomic bool stop;
	_Atomic uint32_t n_started;
	_Atomic uint64_t n_found;
	_Atomic uint32_t n_wrong;
};

/* An instance's weight is its version, its namespace its port: a node in halves would show. */
static bool whole(const struct dom2beat_node *node, uint16_t port)
{
	char text[8];

	snprintf(text, sizeof(text), "%u", port);
	return node->descriptor->port == port &&
	       strcmp(node->descriptor->namespace_id, text) == 0 &&
	       (uint32_t)node->descriptor->weight == node->version && node->beat->id == port &&
	       node->n_holders == 1 && (uint32_t)node->holders[0].pid == node->version;
}

static void *read_on(void *arg)
{
	struct reading *reading = arg;
	struct dom2beat_key key = plain_key();
	uint32_t newest[N_INSTANCES] = { 0 };
	char text[8];

	rcu_register_thread();
	key.namespace_id = text;
	atomic_fetch_add(&reading->n_started, 1);
	for (uint32_t i = 0; !atomic_load(&reading->stop); i = (i + 1) % N_INSTANCES) {
		const struct dom2beat_node *node;

		key.port = (uint16_t)i;
		snprintf(text, sizeof(text), "%u", i);
		rcu_read_lock();
		node = dom2beat_find(&map, &key);
		if (node) {
			bool wrong = !whole(node, key.port) || node->version < newest[i];

			newest[i] = node->version;
			atomic_fetch_add(&reading->n_found, 1);
			atomic_fetch_add(&reading->n_wrong, wrong);
		}
		rcu_read_unlock();
	}
	rcu_unregister_thread();
	return NULL;
}

static void write_instance(struct beat **beat, uint16_t port, uint32_t version)
{
	struct dom2beat_holder holder = { .pid = (pid_t)version };
	struct descriptor from = plain_descriptor();
	struct dom2beat_key key;
	struct descriptor *d;
	char text[8];

	snprintf(text, sizeof(text), "%u", port);
	from.port = port;
	from.namespace_id = text;
	from.weight = version;
	d = descriptor_new(&from, NULL, 0);
	dom2beat_key_of(d, &key);
	if (!*beat)
		*beat = beat_new(port, dom2beat_hash(&key));
	dom2beat_set(&map, dom2beat_node_new(*beat, d, version, &holder, 1));
	descriptor_unref(d);
}

Test(dom2beat, readers_see_whole_instances_while_the_watcher_changes_them)
{
	static struct beat *beats[N_INSTANCES];
	struct reading reading = { 0 };
	pthread_t readers[N_READERS];
	uint32_t n_left = 0;

	for (int i = 0; i < N_READERS; i++)
		cr_assert_eq(pthread_create(&readers[i], NULL, read_on, &reading), 0);
	while (atomic_load(&reading.n_started) < N_READERS)
		sched_yield();
	for (uint32_t version = 1; version <= N_ROUNDS; version++) {
		for (uint32_t i = 0; i < N_INSTANCES; i++) {
			if (beats[i] && (i + version) % 7 == 0) {
				dom2beat_remove(&map, beats[i]);
				beats[i] = NULL;
			} else {
				write_instance(&beats[i], (uint16_t)i, version);
			}
		}
	}
	while (atomic_load(&reading.n_found) < 10000)
		sched_yield();
	atomic_store(&reading.stop, true);
	for (int i = 0; i < N_READERS; i++)
		pthread_join(readers[i], NULL);
	cr_assert_eq(reading.n_wrong, 0);
	for (uint32_t i = 0; i < N_INSTANCES; i++)
		n_left += beats[i] != NULL;
	cr_assert_eq(size(), n_left);
}
