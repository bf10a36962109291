/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * What the library refuses, and with which code: a valid thing is made and one field of it is spoilt. No
 * agent is there, so that the library alone judges.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/client_rig.h"

#define PORT 8080

static struct client_rig rig;
static struct onebeat_instance *first; /* one that is registered already */

static void set_up(void)
{
	client_rig_init(&rig);
	client_rig_open(&rig, NULL);
	first = client_rig_register(&rig, 1);
}

static void tear_down(void)
{
	client_rig_deinit(&rig);
}

TestSuite(client_spec, .init = set_up, .fini = tear_down);

/* Registers and takes it back; an update must be judged alike. */
static int judged(const struct onebeat_spec *spec)
{
	struct onebeat_instance *inst = first;
	int r = onebeat_register(rig.ob, spec, &inst);

	if (r == 0) {
		cr_assert_eq(onebeat_update(inst, spec), 0);
		cr_assert_eq(onebeat_deregister(inst), 0);
	} else {
		cr_assert_null(inst, "nothing is given out with an error");
		cr_assert_eq(onebeat_update(first, spec), r, "update says %d, register %d",
			     onebeat_update(first, spec), r);
	}
	return r;
}

static const char *field_of(struct onebeat_spec *spec, size_t offset, const char *value)
{
	memcpy((char *)spec + offset, &value, sizeof(value));
	return value;
}

static const struct text {
	const char *name;
	size_t offset;
	size_t max;
	const char *marks;
	int too_long;
	int chars;
} texts[] = {
	{ "service", offsetof(struct onebeat_spec, service), 255, "._:-", ONEBEAT_E_SERVICE_LONG,
	  ONEBEAT_E_SERVICE_CHARS },
	{ "group", offsetof(struct onebeat_spec, group), 128, "._:-", ONEBEAT_E_GROUP_LONG,
	  ONEBEAT_E_GROUP_CHARS },
	{ "cluster", offsetof(struct onebeat_spec, cluster), 64, "-", ONEBEAT_E_CLUSTER_LONG,
	  ONEBEAT_E_CLUSTER_CHARS },
	{ "namespace", offsetof(struct onebeat_spec, namespace_id), 64, "_-",
	  ONEBEAT_E_NAMESPACE_LONG, ONEBEAT_E_NAMESPACE_CHARS },
	{ "registry", offsetof(struct onebeat_spec, registry), 32, "._-", ONEBEAT_E_REGISTRY_LONG,
	  ONEBEAT_E_REGISTRY_CHARS },
};

#define N_TEXTS (sizeof(texts) / sizeof(texts[0]))

Test(client_spec, text_of_the_greatest_length_is_taken_and_one_byte_more_is_not)
{
	char room[300];

	for (size_t i = 0; i < N_TEXTS; i++) {
		struct onebeat_spec spec = client_rig_spec(PORT);

		memset(room, 'a', sizeof(room));
		room[texts[i].max] = '\0';
		field_of(&spec, texts[i].offset, room);
		cr_expect_eq(judged(&spec), 0, "%s of %zu", texts[i].name, texts[i].max);
		room[texts[i].max] = 'a';
		room[texts[i].max + 1] = '\0';
		cr_expect_eq(judged(&spec), texts[i].too_long, "%s of %zu", texts[i].name,
			     texts[i].max + 1);
	}
}

static bool is_letter_or_digit(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Test(client_spec, every_byte_is_judged_in_every_text)
{
	for (size_t i = 0; i < N_TEXTS; i++) {
		for (int c = 1; c < 256; c++) {
			const char room[] = { 'a', (char)c, 'z', '\0' };
			/* A comma makes it a list. */
			bool list = c == ',' && texts[i].chars == ONEBEAT_E_REGISTRY_CHARS;
			bool good = is_letter_or_digit(c) || strchr(texts[i].marks, c) || list;
			struct onebeat_spec spec = client_rig_spec(PORT);

			field_of(&spec, texts[i].offset, room);
			cr_assert_eq(judged(&spec), good ? 0 : texts[i].chars, "%s with 0x%02x",
				     texts[i].name, (unsigned)c);
		}
	}
}

Test(client_spec, text_left_out_or_empty_is_the_default_but_for_the_service)
{
	for (size_t i = 0; i < N_TEXTS; i++) {
		struct onebeat_spec spec = client_rig_spec(PORT);
		bool needed = texts[i].offset == offsetof(struct onebeat_spec, service);

		field_of(&spec, texts[i].offset, NULL);
		cr_expect_eq(judged(&spec), needed ? ONEBEAT_E_SERVICE_EMPTY : 0, "%s",
			     texts[i].name);
		field_of(&spec, texts[i].offset, "");
		cr_expect_eq(judged(&spec), needed ? ONEBEAT_E_SERVICE_EMPTY : 0, "%s",
			     texts[i].name);
	}
}

#define U32(field, value, code)                                           \
	{                                                                 \
#field, offsetof(struct onebeat_spec, field), value, code \
	}

static const struct number {
	const char *name;
	size_t offset;
	uint32_t value;
	int code;
} numbers[] = {
	U32(port, 0, ONEBEAT_E_PORT),
	U32(port, 1, 0),
	U32(port, 65535, 0),
	U32(port, 65536, ONEBEAT_E_PORT),
	U32(port, UINT32_MAX, ONEBEAT_E_PORT),
	U32(flags, ONEBEAT_WHEN_LISTENING, 0),
	U32(flags, 2, ONEBEAT_E_FLAGS),
	U32(flags, UINT32_C(1) << 31, ONEBEAT_E_FLAGS),
	U32(policy, ONEBEAT_OWNER, 0),
	U32(policy, 2, ONEBEAT_E_POLICY),
	U32(enabled, 0, 0),
	U32(enabled, 2, ONEBEAT_E_ENABLED),
	U32(enabled, UINT32_MAX, ONEBEAT_E_ENABLED),
	U32(ephemeral, 0, 0),
	U32(ephemeral, 2, ONEBEAT_E_ENABLED),
	U32(ephemeral, UINT32_MAX, ONEBEAT_E_ENABLED),
	U32(beat_ms, 999, ONEBEAT_E_BEAT),
	U32(beat_ms, 1000, 0),
	U32(beat_ms, 120001, ONEBEAT_E_BEAT),
	U32(beat_ms, 14999, 0),
	U32(beat_ms, 15000, ONEBEAT_E_METADATA_ORDER),
	U32(progress_timeout_ms, 999, ONEBEAT_E_PROGRESS),
	U32(progress_timeout_ms, 1000, 0),
	U32(progress_timeout_ms, 86400000, 0),
	U32(progress_timeout_ms, 86400001, ONEBEAT_E_PROGRESS),
	U32(n_metadata, 1, ONEBEAT_E_NULL), /* with no array */
};

Test(client_spec, number_is_judged_at_both_ends_of_its_range)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct onebeat_spec spec = client_rig_spec(PORT);

		memcpy((char *)&spec + numbers[i].offset, &numbers[i].value, sizeof(uint32_t));
		cr_expect_eq(judged(&spec), numbers[i].code, "%s %u", numbers[i].name,
			     numbers[i].value);
	}
}

Test(client_spec, longest_beat_is_taken_where_the_registry_waits_for_longer)
{
	struct onebeat_metadata pairs[] = { { "preserved.heart.beat.timeout", "120001" },
					    { "preserved.ip.delete.timeout", "120001" } };
	struct onebeat_spec spec = client_rig_spec(PORT);

	spec.beat_ms = 120000;
	spec.metadata = pairs;
	spec.n_metadata = 2;
	cr_assert_eq(judged(&spec), 0);
	pairs[0].value = "120000";
	cr_assert_eq(judged(&spec), ONEBEAT_E_METADATA_ORDER);
	pairs[0].value = "120001";
	pairs[1].value = "120000";
	cr_assert_eq(judged(&spec), ONEBEAT_E_METADATA_ORDER);
}

Test(client_spec, weight_is_a_number_from_0_to_10000)
{
	static const struct {
		double weight;
		int code;
	} cases[] = {
		{ 0.0, 0 },
		{ -0.0, 0 },
		{ 0.25, 0 },
		{ 10000.0, 0 },
		{ -0.0001, ONEBEAT_E_WEIGHT },
		{ 10000.0001, ONEBEAT_E_WEIGHT },
		{ INFINITY, ONEBEAT_E_WEIGHT },
		{ -INFINITY, ONEBEAT_E_WEIGHT },
		{ NAN, ONEBEAT_E_WEIGHT },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct onebeat_spec spec = client_rig_spec(PORT);

		spec.weight = cases[i].weight;
		cr_expect_eq(judged(&spec), cases[i].code, "%f", cases[i].weight);
	}
}

Test(client_spec, ip_is_numeric_or_left_out)
{
	static const struct {
		const char *ip;
		int code;
	} cases[] = {
		{ NULL, 0 },
		{ "", 0 },
		{ "10.0.0.1", 0 },
		{ "::1", 0 },
		{ "0000:0000:0000:0000:0000:ffff:255.255.255.255", 0 }, /* the longest */
		{ "00000:0000:0000:0000:0000:ffff:255.255.255.255", ONEBEAT_E_IP },
		{ "10.0.0", ONEBEAT_E_IP },
		{ "10.0.0.256", ONEBEAT_E_IP },
		{ " 10.0.0.1", ONEBEAT_E_IP },
		{ "10.0.0.1:80", ONEBEAT_E_IP },
		{ "fe80::1%eth0", ONEBEAT_E_IP },
		{ "[::1]", ONEBEAT_E_IP },
		{ "localhost", ONEBEAT_E_IP },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct onebeat_spec spec = client_rig_spec(PORT);

		spec.ip = cases[i].ip;
		cr_expect_eq(judged(&spec), cases[i].code, "%s",
			     cases[i].ip ? cases[i].ip : "NULL");
	}
}

static const struct option_case {
	const char *name;
	struct onebeat_options options;
	int code;
} option_cases[] = {
	{ "size", { 8, NULL, 0, 1, 0 }, ONEBEAT_E_SIZE },
	{ "flags", { sizeof(struct onebeat_options), NULL, 0, 1, 4 }, ONEBEAT_E_FLAGS },
	{ "relative", { sizeof(struct onebeat_options), "run", 0, 1, 0 }, ONEBEAT_E_RUNTIME_DIR },
	{ "none", { sizeof(struct onebeat_options), NULL, 0, 0, 0 }, ONEBEAT_E_INSTANCES },
	{ "one", { sizeof(struct onebeat_options), NULL, 0, 1, 0 }, 0 },
	{ "most", { sizeof(struct onebeat_options), NULL, 0, 4096, 0 }, 0 },
	{ "many", { sizeof(struct onebeat_options), NULL, 0, 4097, 0 }, ONEBEAT_E_INSTANCES },
	{ "longest", { sizeof(struct onebeat_options), NULL, 60000, 1, 0 }, 0 },
	{ "too long",
	  { sizeof(struct onebeat_options), NULL, 60001, 1, 0 },
	  ONEBEAT_E_OPEN_TIMEOUT },
	{ "absent", { sizeof(struct onebeat_options), NULL, 0, 1, 1 }, ONEBEAT_E_NO_AGENT },
};

Test(client_spec, options_are_judged_and_nothing_is_given_out_with_an_error)
{
	for (size_t i = 0; i < sizeof(option_cases) / sizeof(option_cases[0]); i++) {
		const struct option_case *c = &option_cases[i];
		struct onebeat *ob = rig.ob;

		cr_expect_eq(onebeat_open(&ob, &c->options), c->code, "%s", c->name);
		cr_expect_eq(ob != NULL, c->code == 0, "%s", c->name);
		onebeat_close(ob);
	}
	cr_assert_eq(onebeat_open(NULL, NULL), ONEBEAT_E_NULL);
}

Test(client_spec, runtime_folder_of_90_bytes_is_taken_and_of_91_is_not)
{
	struct onebeat_options o = onebeat_options_init();
	struct onebeat *ob = NULL;
	char path[92];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[90] = '\0';
	o.runtime_dir = path;
	cr_assert_eq(onebeat_open(&ob, &o), 0);
	onebeat_close(ob);
	path[90] = 'x';
	path[91] = '\0';
	cr_assert_eq(onebeat_open(&ob, &o), ONEBEAT_E_RUNTIME_DIR);
	cr_assert_null(ob);
}

Test(client_spec, call_without_what_it_needs_says_so)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_report report = { .size = sizeof(report) - 8 };
	struct onebeat_instance *inst;

	cr_expect_eq(onebeat_register(rig.ob, NULL, &inst), ONEBEAT_E_NULL);
	cr_expect_eq(onebeat_register(rig.ob, &spec, NULL), ONEBEAT_E_NULL);
	cr_expect_eq(onebeat_update(first, NULL), ONEBEAT_E_NULL);
	cr_expect_eq(onebeat_status(first, NULL), ONEBEAT_E_NULL);
	cr_expect_eq(onebeat_status(first, &report), ONEBEAT_E_SIZE);
	spec.size--;
	cr_expect_eq(judged(&spec), ONEBEAT_E_SIZE);
	spec.size += 2;
	cr_expect_eq(judged(&spec), ONEBEAT_E_SIZE);
}

Test(client_spec, status_and_state_that_cannot_be_asked_for_are_refused)
{
	for (int state = -1; state <= ONEBEAT_STATE_GONE + 1; state++) {
		bool settable = state == ONEBEAT_STATE_UP || state == ONEBEAT_STATE_DOWN;
		bool awaitable = state == ONEBEAT_STATE_UP || state == ONEBEAT_STATE_REFUSED ||
				 state == ONEBEAT_STATE_GONE;

		cr_expect_eq(onebeat_set_status(first, state), settable ? 0 : ONEBEAT_E_STATUS,
			     "%d", state);
		cr_expect_eq(onebeat_wait(first, state, 0),
			     awaitable ? ONEBEAT_E_DETACHED : ONEBEAT_E_WAIT_STATE, "%d", state);
	}
}

/* The calls on what is no handle, each with its code. */
static void expect_dead(struct onebeat *ob, struct onebeat_instance *inst)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_report report = { .size = sizeof(report) };
	struct onebeat_instance *out;

	cr_expect_eq(onebeat_register(ob, &spec, &out), ONEBEAT_E_HANDLE);
	cr_expect_eq(onebeat_attend(ob), ONEBEAT_E_HANDLE);
	cr_expect_eq(onebeat_fd(ob), ONEBEAT_E_HANDLE);
	cr_expect_eq(onebeat_update(inst, &spec), ONEBEAT_E_HANDLE);
	cr_expect_eq(onebeat_set_status(inst, ONEBEAT_STATE_UP), ONEBEAT_E_HANDLE);
	cr_expect_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, 0), ONEBEAT_E_HANDLE);
	cr_expect_eq(onebeat_status(inst, &report), ONEBEAT_E_HANDLE);
	cr_expect_eq(onebeat_deregister(inst), ONEBEAT_E_HANDLE);
	onebeat_tick(inst);
}

Test(client_spec, what_is_no_live_handle_is_told_from_one)
{
	expect_dead(NULL, NULL);
	cr_assert_eq(onebeat_close(NULL), 0);
	onebeat_close(rig.ob);
	expect_dead(rig.ob, first);
	cr_assert_eq(onebeat_close(rig.ob), 0, "a second close is harmless");
	rig.ob = NULL;
}

Test(client_spec, instance_ends_with_its_last_reference)
{
	struct onebeat_instance *again = client_rig_register(&rig, 1);

	cr_assert_eq(again, first);
	cr_assert_eq(onebeat_deregister(first), 0);
	cr_assert_eq(onebeat_set_status(first, ONEBEAT_STATE_UP), 0, "one reference is left");
	cr_assert_eq(onebeat_deregister(first), 0);
	cr_assert_eq(onebeat_set_status(first, ONEBEAT_STATE_UP), ONEBEAT_E_HANDLE);
}

/* Spelling does not make another instance of an address, nor does a default that is named. */
Test(client_spec, same_instance_is_known_in_another_spelling)
{
	struct onebeat_spec spec = client_rig_spec(1);
	struct onebeat_instance *one, *other;

	spec.group = "DEFAULT_GROUP";
	cr_assert_eq(onebeat_register(rig.ob, &spec, &other), 0);
	cr_assert_eq(other, first);
	spec = client_rig_spec(2);
	spec.ip = "2001:db8::1";
	cr_assert_eq(onebeat_register(rig.ob, &spec, &one), 0);
	spec.ip = "2001:0DB8:0:0:0:0:0:1";
	cr_assert_eq(onebeat_register(rig.ob, &spec, &other), 0);
	cr_assert_eq(other, one);
	spec.ip = "2001:db8::2";
	cr_assert_eq(onebeat_register(rig.ob, &spec, &other), 0);
	cr_assert_neq(other, one);
}

Test(client_spec, update_may_not_make_another_instance_of_it)
{
	static const struct {
		size_t offset;
		const char *value;
	} others[] = {
		{ offsetof(struct onebeat_spec, service), "other" },
		{ offsetof(struct onebeat_spec, group), "other" },
		{ offsetof(struct onebeat_spec, cluster), "other" },
		{ offsetof(struct onebeat_spec, namespace_id), "other" },
		{ offsetof(struct onebeat_spec, registry), "other" },
		{ offsetof(struct onebeat_spec, ip), "192.0.2.8" },
		{ offsetof(struct onebeat_spec, ip), NULL },
	};
	struct onebeat_spec spec = client_rig_spec(2);

	cr_expect_eq(onebeat_update(first, &spec), ONEBEAT_E_IDENTITY, "port");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		spec = client_rig_spec(1);
		field_of(&spec, others[i].offset, others[i].value);
		cr_expect_eq(onebeat_update(first, &spec), ONEBEAT_E_IDENTITY, "case %zu", i);
	}
	spec = client_rig_spec(1);
	spec.ephemeral = 0;
	cr_expect_eq(onebeat_update(first, &spec), ONEBEAT_E_IDENTITY, "ephemeral");
	spec = client_rig_spec(1);
	spec.policy = ONEBEAT_OWNER;
	cr_expect_eq(onebeat_update(first, &spec), ONEBEAT_E_IDENTITY, "policy");
	spec = client_rig_spec(1);
	spec.cluster = "DEFAULT";
	spec.group = "DEFAULT_GROUP";
	cr_expect_eq(onebeat_update(first, &spec), 0, "the defaults by name are the same instance");
}

Test(client_spec, handle_holds_max_instances_and_no_more)
{
	struct onebeat_instance *inst = NULL;
	struct onebeat_spec spec;

	for (uint16_t port = 2; port <= 16; port++)
		inst = client_rig_register(&rig, port);
	spec = client_rig_spec(17);
	cr_assert_eq(onebeat_register(rig.ob, &spec, &(struct onebeat_instance *){ NULL }),
		     ONEBEAT_E_FULL);
	cr_assert_eq(client_rig_register(&rig, 16), inst, "the same one again needs no place");
	onebeat_deregister(inst);
	onebeat_deregister(inst);
	client_rig_register(&rig, 17);
}

Test(client_spec, every_code_has_its_own_sentence)
{
	for (int code = -44; code <= 0; code++) {
		const char *text = onebeat_strerror(code);

		cr_assert(text && text[0], "%d", code);
		for (int other = code + 1; other <= 0; other++)
			cr_assert_str_neq(text, onebeat_strerror(other), "%d and %d", code, other);
	}
	cr_assert(onebeat_strerror(-45), "never NULL");
	cr_assert(onebeat_strerror(INT32_MIN), "never NULL");
	cr_assert(onebeat_strerror(INT32_MAX), "never NULL");
}
