/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question that comes a second time, because the agent died before it had taken it out of the socket.
 *
 * The client has had its answer then, and may have gone on: what it asked with is not to come back.
 */
#include <criterion/criterion.h>

#include "fuzz/house.c" /* the fuzzers' watcher: it can crash and be adopted */
#include "lib/writer.h"

#define COOKIE 7u
#define PORT 1001

union message {
	struct onebeat_hello hello;
	struct onebeat_ask ask;
	uint8_t bytes[256];
};

static struct house h;
static int client;

static uint32_t describe(void *to, double weight)
{
	struct onebeat_numbers n = { .port = PORT,
				     .flags = ONEBEAT_DESC_ENABLED | ONEBEAT_DESC_EPHEMERAL };
	const uint16_t numbers[] = { ONEBEAT_FIELD_NUMBERS, sizeof(n) };
	const uint16_t service[] = { ONEBEAT_FIELD_SERVICE, 6 };
	uint8_t *out = to;
	uint64_t bits;

	memcpy(&bits, &weight, sizeof(bits));
	n.weight_lo = (uint32_t)bits;
	n.weight_hi = (uint32_t)(bits >> 32);
	memcpy(out, numbers, 4);
	memcpy(out + 4, &n, sizeof(n));
	memcpy(out + 4 + sizeof(n), service, 4);
	memcpy(out + 8 + sizeof(n), "orders\0", 8);
	return 16 + sizeof(n);
}

static void say_hello(bool with_descriptor)
{
	union message m = { .hello = { .msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_HELLO, 0 },
				       .major = ONEBEAT_SEGMENT_MAJOR,
				       .byte_order = ONEBEAT_SEGMENT_BYTE_ORDER } };

	if (with_descriptor) {
		m.hello.cookie = COOKIE;
		m.hello.length = describe(m.bytes + sizeof(m.hello), 1);
	}
	m.hello.msg.size = (uint16_t)(sizeof(m.hello) + m.hello.length);
	cr_assert_eq(send(client, m.bytes, m.hello.msg.size, 0), m.hello.msg.size);
}

static void say_ask(void)
{
	union message m = { .ask = { .msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_ASK, 0 },
				     .class = ONEBEAT_CLASS_SMALL,
				     .cookie = COOKIE } };

	m.ask.length = describe(m.bytes + sizeof(m.ask), 1);
	m.ask.msg.size = (uint16_t)(sizeof(m.ask) + m.ask.length);
	cr_assert_eq(send(client, m.bytes, m.ask.msg.size, 0), m.ask.msg.size);
}

/* The one slot that speaks for the instance; NULL when none does. */
static struct slot *holding(void)
{
	struct domain *d = h.watcher->domains[0];
	struct slot *found = NULL;

	for (uint32_t i = 0; i < d->n_high; i++) {
		if (d->slots[i].state != SLOT_LIVE)
			continue;
		cr_assert_null(found, "slots %u and %u both hold it", found->index, i);
		found = &d->slots[i];
	}
	return found;
}

/* Answers with this cookie that wait in the client's socket. */
static uint32_t n_answers(void)
{
	union {
		struct onebeat_msg msg;
		struct onebeat_granted granted;
		uint8_t bytes[256];
	} m;
	uint32_t n = 0;

	while (recv(client, &m, sizeof(m), MSG_DONTWAIT) > 0)
		n += m.msg.type == ONEBEAT_MSG_GRANT && m.granted.grant.cookie == COOKIE;
	return n;
}

static void ask_first(bool in_hello)
{
	house_build(&h);
	house_start(&h);
	client = house_connect(&h);
	say_hello(in_hello);
	house_turn(&h);
	if (!in_hello) {
		say_ask();
		house_turn(&h);
		cr_assert_eq(n_answers(), 1);
	}
	cr_assert_not_null(holding());
}

/* The agent died before it took the question: its successor finds it there. */
static void ask_again(bool in_hello)
{
	house_crash(&h);
	if (in_hello)
		say_hello(true);
	else
		say_ask();
	house_start(&h);
	house_turn(&h);
}

static void writes_again(enum onebeat_op op, double weight)
{
	const struct slot *slot = holding();
	uint8_t descriptor[128];
	uint32_t length = op == ONEBEAT_OP_LIVE ? describe(descriptor, weight) : 0;

	writer_publish(&h.watcher->domains[0]->memory, slot->index, slot->generation, 2, op,
		       descriptor, length);
}

static void assert_answered_alike(bool in_hello)
{
	uint32_t index;

	ask_first(in_hello);
	index = holding()->index;
	ask_again(in_hello);
	cr_assert_eq(holding()->index, index);
	cr_assert_eq(h.watcher->instances.n_used, 1);
	if (!in_hello)
		cr_assert_eq(n_answers(), 1, "it may not have had the first one");
}

static void assert_update_stands(bool in_hello)
{
	ask_first(in_hello);
	writes_again(ONEBEAT_OP_LIVE, 2);
	ask_again(in_hello);
	cr_assert_eq(holding()->descriptor->weight, 2);
	cr_assert_eq(n_answers(), 0, "it writes there, so it has had the first one");
}

static void assert_stays_withdrawn(bool in_hello)
{
	ask_first(in_hello);
	writes_again(ONEBEAT_OP_WITHDRAW, 0);
	ask_again(in_hello);
	cr_assert_null(holding());
	cr_assert_eq(h.watcher->instances.n_used, 0);
	cr_assert_eq(n_answers(), 0);
}

/*
 * The process has come back with another lease, and the agent died between accepting its new slot and letting the
 * old one go: its successor finds both in the journal.
 */
Test(handshake_again, what_a_lost_lease_held_gives_way_after_a_death_in_between)
{
	static struct journal_slot old;
	uint32_t index;

	ask_first(true);
	index = holding()->index;
	cr_assert(journal_get_slot(h.watcher->journal, 0, index, &old));
	close(client);
	house_turn(&h);
	client = house_connect(&h);
	say_hello(true);
	house_turn(&h);
	cr_assert_neq(holding()->index, index);
	/* As it was before the new one superseded it. */
	cr_assert_eq(journal_put_slot(h.watcher->journal, 0, index, &old), 0);
	house_crash(&h);
	house_start(&h);
	house_turn(&h);
	cr_assert_neq(holding()->index, index);
	writes_again(ONEBEAT_OP_WITHDRAW, 0);
	house_turn(&h);
	cr_assert_eq(h.watcher->instances.n_used, 0);
}

Test(handshake_again, hello_is_answered_alike)
{
	assert_answered_alike(true);
}

Test(handshake_again, ask_is_answered_alike)
{
	assert_answered_alike(false);
}

Test(handshake_again, hello_does_not_bring_back_what_was_changed)
{
	assert_update_stands(true);
}

Test(handshake_again, ask_does_not_bring_back_what_was_changed)
{
	assert_update_stands(false);
}

Test(handshake_again, hello_does_not_bring_back_what_was_withdrawn)
{
	assert_stays_withdrawn(true);
}

Test(handshake_again, ask_does_not_bring_back_what_was_withdrawn)
{
	assert_stays_withdrawn(false);
}
