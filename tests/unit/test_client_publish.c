/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library writes into a slot, read as the agent reads it, next to a writer that is killed too.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client_rig.h"
#include "lib/until.h"
#include "segment/decode.h"

#define PORT 8080

static struct client_rig rig;
static struct drain_copy copy;

static void set_up(void)
{
	client_rig_init(&rig);
	client_rig_start(&rig);
}

static void tear_down(void)
{
	client_rig_deinit(&rig);
}

TestSuite(client_publish, .init = set_up, .fini = tear_down);

static const char *or_default(const char *text, const char *standard)
{
	return text && text[0] ? text : standard;
}

/* The agent gives an address its usual spelling. */
static bool is_same_ip(const char *a, const char *b)
{
	uint8_t x[16], y[16];

	if (inet_pton(AF_INET6, a, x) == 1)
		return inet_pton(AF_INET6, b, y) == 1 && memcmp(x, y, sizeof(x)) == 0;
	return strcmp(a, b) == 0;
}

static void expect_equal(const struct descriptor *d, const struct onebeat_spec *s)
{
	cr_expect_str_eq(d->service, s->service);
	cr_expect_str_eq(d->group, or_default(s->group, "DEFAULT_GROUP"));
	cr_expect_str_eq(d->cluster, or_default(s->cluster, "DEFAULT"));
	cr_expect_str_eq(d->namespace_id, or_default(s->namespace_id, ""));
	cr_expect_str_eq(d->registry, or_default(s->registry, ""));
	cr_expect(is_same_ip(d->ip, or_default(s->ip, "")), "%s, not %s", d->ip, s->ip);
	cr_expect_eq(d->port, s->port);
	cr_expect_eq(d->enabled, s->enabled);
	cr_expect_eq(d->ephemeral, s->ephemeral);
	cr_expect_eq(d->when_listening, (s->flags & ONEBEAT_WHEN_LISTENING) != 0);
	cr_expect_eq(d->policy, s->policy);
	cr_expect_eq(memcmp(&d->weight, &s->weight, sizeof(double)), 0, "%a, not %a", d->weight,
		     s->weight);
	cr_expect_eq(d->beat_ms, s->beat_ms ? s->beat_ms : 5000);
	cr_expect_eq(d->progress_timeout_ms, s->progress_timeout_ms);
	cr_assert_eq(d->n_metadata, s->n_metadata);
	for (uint32_t i = 0; i < s->n_metadata; i++) {
		cr_expect_str_eq(d->metadata[i].key, s->metadata[i].key);
		cr_expect_str_eq(d->metadata[i].value, s->metadata[i].value);
	}
}

static void expect_arrives(const struct onebeat_spec *spec)
{
	struct onebeat_instance *inst;
	struct standin_agent_view view;
	struct descriptor *d;

	cr_assert_eq(onebeat_register(rig.ob, spec, &inst), 0);
	view = client_rig_await(&rig, (uint16_t)spec->port, ONEBEAT_OP_LIVE);
	d = standin_agent_descriptor(rig.agent, view.slot);
	expect_equal(d, spec);
	descriptor_unref(d);
}

Test(client_publish, spec_arrives_as_it_was_given)
{
	static const struct onebeat_metadata pairs[] = { { "version", "1.2" },
							 { "empty", "" },
							 { "\xc3\xbc", "\xf0\x9f\x98\x80" } };
	struct onebeat_spec spec = client_rig_spec(1);

	client_rig_open(&rig, NULL);
	expect_arrives(&spec);
	spec = client_rig_spec(2);
	spec.ip = NULL;
	spec.group = "";
	expect_arrives(&spec);
	spec = client_rig_spec(65535);
	spec.group = "g";
	spec.cluster = "c-1";
	spec.namespace_id = "n_s";
	spec.registry = "r.1";
	spec.ip = "2001:db8::1";
	spec.flags = ONEBEAT_WHEN_LISTENING;
	spec.weight = 0.1;
	spec.enabled = 0;
	spec.policy = ONEBEAT_OWNER;
	spec.beat_ms = 14999;
	spec.progress_timeout_ms = 86400000;
	spec.metadata = pairs;
	spec.n_metadata = 3;
	expect_arrives(&spec);
	spec = client_rig_spec(4);
	spec.ephemeral = 0;
	expect_arrives(&spec);
}

Test(client_publish, largest_legal_descriptor_travels_whole)
{
	struct onebeat_spec spec = client_rig_largest_spec(PORT, 1);

	client_rig_open(&rig, NULL);
	expect_arrives(&spec);
	cr_assert_eq(client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE).class, ONEBEAT_CLASS_LARGE);
}

/* It is then the agent who writes it into the slot, out of the message. */
Test(client_publish, largest_legal_descriptor_fits_hello)
{
	struct onebeat_spec spec = client_rig_largest_spec(PORT, 2);
	struct onebeat_instance *inst;
	struct standin_agent_view view;
	struct descriptor *d;

	client_rig_kill(&rig);
	client_rig_open(&rig, NULL);
	cr_assert_eq(onebeat_register(rig.ob, &spec, &inst), 0);
	client_rig_start(&rig);
	cr_assert(UNTIL(onebeat_attend(rig.ob) == 0));
	view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	cr_assert_eq(standin_agent_counts(rig.agent).n_hello_descriptors, 1);
	d = standin_agent_descriptor(rig.agent, view.slot);
	expect_equal(d, &spec);
	descriptor_unref(d);
}

static int read_slot(const struct standin_agent_view *view, uint32_t last)
{
	return drain_read(standin_agent_memory(rig.agent), view->slot, view->generation, last,
			  &copy);
}

Test(client_publish, each_update_is_one_version_and_leaves_the_last_one_in_its_block)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *inst;
	struct standin_agent_view view;
	uint8_t before[ONEBEAT_SMALL_BLOCK];
	const struct memory *m = standin_agent_memory(rig.agent);

	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	for (uint32_t version = view.version; version < view.version + 20; version++) {
		const struct onebeat_block *block = memory_block(m, view.slot, version & 1);

		memcpy(before, block, sizeof(before));
		spec.weight = version;
		cr_assert_eq(onebeat_update(inst, &spec), 0);
		cr_assert_eq(atomic_load(memory_pub(m, view.slot)), version + 1);
		cr_assert_eq(memcmp(before, block, sizeof(before)), 0, "version %u", version);
		cr_assert_eq(read_slot(&view, version), DRAIN_READY, "%s", copy.why);
	}
}

/* Whoever maps the memory may write there; the library goes by what it knows itself. */
Test(client_publish, writer_does_not_read_back_what_others_may_have_spoilt)
{
	const struct memory *m = standin_agent_memory(rig.agent);
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *inst;
	struct standin_agent_view view;

	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	standin_agent_sleeping(rig.agent, false);
	atomic_store(memory_pub(m, view.slot), 0);
	spec.weight = 7;
	cr_assert_eq(onebeat_update(inst, &spec), 0);
	cr_assert_eq(atomic_load(memory_pub(m, view.slot)), view.version + 1);
}

Test(client_publish, checksum_covers_every_word)
{
	const struct memory *m = standin_agent_memory(rig.agent);
	struct standin_agent_view view;
	struct onebeat_block *block;
	uint32_t n_words;

	client_rig_open(&rig, NULL);
	standin_agent_sleeping(rig.agent, false);
	client_rig_register(&rig, PORT);
	view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	block = memory_block(m, view.slot, view.version & 1);
	cr_assert_eq(read_slot(&view, 0), DRAIN_READY);
	n_words = ONEBEAT_BLOCK_CHECKED_WORDS + 1 + ONEBEAT_PAD4(copy.length) / 4;
	for (uint32_t i = 0; i < n_words; i++) {
		onebeat_word *word = i <= ONEBEAT_BLOCK_CHECKED_WORDS
					     ? &block->seq + i
					     : &block->payload[i - ONEBEAT_BLOCK_CHECKED_WORDS - 1];

		atomic_fetch_xor(word, 0x100);
		cr_assert_eq(read_slot(&view, 0), DRAIN_INVALID, "word %u", i);
		atomic_fetch_xor(word, 0x100);
		cr_assert_eq(read_slot(&view, 0), DRAIN_READY, "word %u", i);
	}
}

static bool is_dirty(const struct memory *m, uint32_t slot)
{
	return (atomic_load(&memory_l0(m)[slot / 32]) & UINT32_C(1) << slot % 32) &&
	       (atomic_load(&memory_l1(m)[slot / 1024]) & UINT32_C(1) << slot / 32 % 32);
}

Test(client_publish, each_version_marks_both_levels_of_dirty_bits)
{
	const struct memory *m = standin_agent_memory(rig.agent);
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *inst;
	struct standin_agent_view view;

	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	cr_assert(is_dirty(m, view.slot));
	atomic_store(&memory_l0(m)[view.slot / 32], 0);
	atomic_store(&memory_l1(m)[view.slot / 1024], 0);
	cr_assert_eq(onebeat_update(inst, &spec), 0);
	cr_assert(is_dirty(m, view.slot));
	/* The upper one taken, the lower one left by a writer that was killed there. */
	atomic_store(&memory_l1(m)[view.slot / 1024], 0);
	cr_assert_eq(onebeat_update(inst, &spec), 0);
	cr_assert(is_dirty(m, view.slot), "an L0 bit that was set already says nothing of L1");
}

Test(client_publish, bell_rings_for_each_version_when_the_agent_sleeps_and_only_then)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *inst;
	struct standin_agent_counts before;

	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_bells == 1));
	cr_assert_eq(onebeat_update(inst, &spec), 0);
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_bells == 2));
	standin_agent_sleeping(rig.agent, false);
	before = standin_agent_counts(rig.agent);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(onebeat_update(inst, &spec), 0);
	onebeat_close(rig.ob);
	rig.ob = NULL;
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_goodbyes == 1),
		  "GOODBYE comes after bells");
	cr_assert_eq(standin_agent_counts(rig.agent).n_bells, before.n_bells);
}

/* Updates without end; seed and weight of each version go together. */
static _Noreturn void write_until_killed(void)
{
	struct onebeat_instance *inst;
	unsigned int seed = 0;
	struct onebeat_spec spec = client_rig_largest_spec(PORT, seed);

	spec.weight = 0;
	if (onebeat_open(&rig.ob, NULL) < 0 || onebeat_register(rig.ob, &spec, &inst) < 0)
		_exit(1);
	for (;;) {
		seed = (seed + 1) % 10000;
		spec = client_rig_largest_spec(PORT, seed);
		spec.weight = seed;
		if (onebeat_update(inst, &spec) < 0)
			_exit(2);
	}
}

static void expect_whole(void)
{
	struct descriptor *d = NULL;
	struct onebeat_spec spec;
	char why[DECODE_WHY_MAX];

	cr_assert_eq(decode_descriptor(copy.payload, copy.length, &d, why), 0, "%s", why);
	spec = client_rig_largest_spec(PORT, (unsigned int)d->weight);
	spec.weight = d->weight;
	expect_equal(d, &spec);
	descriptor_unref(d);
}

/* Reads beside the writer until it has seen so many versions. */
static void read_beside(const struct standin_agent_view *view, int n_wanted)
{
	uint32_t last = 0;
	uint64_t end_ms = clock_now_ms() + UNTIL_MS;

	while (n_wanted > 0) {
		int r = read_slot(view, last);

		cr_assert_neq(r, DRAIN_INVALID, "%s", copy.why);
		cr_assert_lt(clock_now_ms(), end_ms);
		if (r == DRAIN_READY) {
			last = copy.version;
			n_wanted--;
			expect_whole();
		}
	}
}

Test(client_publish, killed_writer_leaves_a_whole_version)
{
	for (int round = 0; round < 10; round++) {
		struct standin_agent_view view;
		pid_t pid;

		client_rig_start(&rig);
		pid = fork();
		if (pid == 0)
			write_until_killed();
		view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
		read_beside(&view, 50 + round * 7);
		cr_assert_eq(kill(pid, SIGKILL), 0);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		cr_assert_eq(read_slot(&view, 0), DRAIN_READY, "%s", copy.why);
		expect_whole();
	}
}
