/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of any kind, seen from the agent: agent/segment/handshake.c and all that it leads to (lease.c, grant.c,
 * hold.c, instance.c, adopt.c).
 *
 * The input is a script of steps of up to four clients, of the keeper, and of the agent's own deaths and
 * restarts. Messages are right, nearly right, or any bytes; so are versions written into slots. Whatever the
 * agent says is a message of the protocol, a refusal has a sentence, a grant is of a slot that is there; and when
 * everything has been told to leave, no instance, no slot and no descriptor is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "fuzz/house.h"
#include "lib/writer.h"

#define N_CLIENTS 4
#define STEPS_MAX 20
#define RESTARTS_MAX 2
#define FDS_LOOKED_AT 200

static struct house house;
static int n_restarts;

#define SERVICE_SIZE 8 /* a multiple of 4 */
static const char services[][SERVICE_SIZE] = { "orders", "billing" };

/* A descriptor that is good, but for a byte that the input may spoil. */
static uint32_t describe(struct fuzz_input *in, uint8_t *out)
{
	struct onebeat_numbers n = { .port = 8080 + fuzz_byte(in) % 2,
				     .flags = fuzz_byte(in) % 8,
				     .policy = fuzz_byte(in) % 2 };
	const char *service = services[fuzz_byte(in) % 2];
	const uint16_t heads[2][2] = { { ONEBEAT_FIELD_NUMBERS, sizeof(n) },
				       { ONEBEAT_FIELD_SERVICE, (uint16_t)strlen(service) } };
	const uint64_t one = UINT64_C(0x3ff0000000000000);
	uint32_t length = 0;
	uint8_t spoil;

	n.weight_lo = (uint32_t)one;
	n.weight_hi = (uint32_t)(one >> 32);
	memcpy(out, heads[0], 4);
	memcpy(out + 4, &n, sizeof(n));
	length = 4 + sizeof(n);
	memcpy(out + length, heads[1], 4);
	memcpy(out + length + 4, service, SERVICE_SIZE);
	length += 4 + SERVICE_SIZE;
	spoil = fuzz_byte(in);
	if (spoil < length)
		out[spoil] = fuzz_byte(in);
	return length;
}

static void check_grant(const struct onebeat_grant *g)
{
	FUZZ_CHECK(g->slot == ONEBEAT_NO_SLOT || g->slot < HOUSE_N_SLOTS);
	FUZZ_CHECK(g->slot == ONEBEAT_NO_SLOT || g->generation > 0);
	FUZZ_CHECK(g->class < ONEBEAT_N_CLASSES);
}

static void check_said(const void *bytes, size_t n)
{
	union {
		struct onebeat_msg msg;
		struct onebeat_welcome welcome;
		struct onebeat_granted granted;
		struct onebeat_refused refused;
	} m;

	FUZZ_CHECK(n >= sizeof(m.msg) && n <= sizeof(m));
	memcpy(&m, bytes, n);
	FUZZ_CHECK(m.msg.magic == ONEBEAT_LEASE_MAGIC && m.msg.size == n);
	switch (m.msg.type) {
	case ONEBEAT_MSG_WELCOME:
		FUZZ_CHECK(n == sizeof(m.welcome));
		check_grant(&m.welcome.grants[0]);
		check_grant(&m.welcome.grants[1]);
		break;
	case ONEBEAT_MSG_GRANT:
		FUZZ_CHECK(n == sizeof(m.granted));
		check_grant(&m.granted.grant);
		break;
	default:
		FUZZ_CHECK(m.msg.type == ONEBEAT_MSG_REFUSED && n == sizeof(m.refused));
		FUZZ_CHECK(memchr(m.refused.text, '\0', sizeof(m.refused.text)));
		FUZZ_CHECK(m.refused.text[0] && fuzz_is_line(m.refused.text));
	}
}

static void listen_to(int client)
{
	uint8_t bytes[512];
	ssize_t n;

	while ((n = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		check_said(bytes, (size_t)n);
}

static void say(int client, const void *bytes, size_t n)
{
	(void)send(client, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void hello(struct fuzz_input *in, int client)
{
	uint8_t bytes[ONEBEAT_LEASE_MSG_MAX] = { 0 };
	struct onebeat_hello m = {
		.msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_HELLO, 0 },
		.major = ONEBEAT_SEGMENT_MAJOR,
		.byte_order = ONEBEAT_SEGMENT_BYTE_ORDER,
		.flags = fuzz_byte(in) % 3,
		.cookie = 1,
	};

	if (fuzz_byte(in) & 1)
		m.length = describe(in, bytes + sizeof(m));
	m.msg.size = (uint16_t)(sizeof(m) + m.length);
	memcpy(bytes, &m, sizeof(m));
	say(client, bytes, m.msg.size);
}

static void ask(struct fuzz_input *in, int client)
{
	uint8_t bytes[ONEBEAT_LEASE_MSG_MAX] = { 0 };
	struct onebeat_ask m = { .msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_ASK, 0 },
				 .class = fuzz_byte(in) % 3,
				 .cookie = fuzz_byte(in) };

	if (fuzz_byte(in) & 1)
		m.length = describe(in, bytes + sizeof(m));
	m.msg.size = (uint16_t)(sizeof(m) + m.length);
	memcpy(bytes, &m, sizeof(m));
	say(client, bytes, m.msg.size);
}

/* A message of the protocol but for its bytes, or no message at all. */
static void babble(struct fuzz_input *in, int client)
{
	uint8_t bytes[ONEBEAT_LEASE_MSG_MAX + 64] = { 0 };
	uint8_t how = fuzz_byte(in);
	size_t n = how & 1 ? sizeof(bytes) - fuzz_byte(in) : fuzz_byte(in) % 128;
	const struct onebeat_msg head = { ONEBEAT_LEASE_MAGIC, fuzz_byte(in) % 20, (uint16_t)n };

	fuzz_take(in, bytes, in->left < n ? in->left : n);
	if (how & 2 && n >= sizeof(head))
		memcpy(bytes, &head, sizeof(head));
	say(client, bytes, n);
}

/* The segment of our uid, once there is one. */
static struct domain *segment(void)
{
	for (uint32_t i = 0; i < JOURNAL_DOMAINS_MAX; i++) {
		if (house.watcher->domains[i])
			return house.watcher->domains[i];
	}
	return NULL;
}

static void publish(struct fuzz_input *in)
{
	struct domain *d = segment();
	uint8_t payload[ONEBEAT_SMALL_PAYLOAD] = { 0 };
	uint32_t slot = fuzz_byte(in) % HOUSE_N_SLOTS;
	bool withdraws = fuzz_byte(in) % 4 == 0;
	uint32_t length = withdraws ? 0 : describe(in, payload);

	/* Pages of slots that nobody has are not there for clients; here they would only be made. */
	if (!d || !d->slots[slot].domain)
		return;
	writer_publish(&d->memory, slot, d->slots[slot].generation,
		       atomic_load(memory_pub(&d->memory, slot)) + 1,
		       withdraws ? ONEBEAT_OP_WITHDRAW : ONEBEAT_OP_LIVE, payload, length);
}

static void scribble(struct fuzz_input *in)
{
	struct domain *d = segment();
	uint32_t at = fuzz_word(in), word = fuzz_word(in);

	if (d)
		memcpy(d->memory.data + at % (d->memory.data_size - 4), &word, 4);
}

/* The agent's death waits for a grace period of RCU: a few an input are enough. */
static void restart(void)
{
	if (n_restarts++ >= RESTARTS_MAX)
		return;
	house_crash(&house);
	house_start(&house);
}

static void step(struct fuzz_input *in, int *client)
{
	uint8_t what = fuzz_byte(in) % 11;

	if (what < 7 && *client < 0)
		*client = house_connect(&house);
	switch (what) {
	case 0:
	case 1:
		hello(in, *client);
		break;
	case 2:
		ask(in, *client);
		break;
	case 3:
		babble(in, *client);
		break;
	case 4:
		say(*client, "!", ONEBEAT_BELL_SIZE);
		break;
	case 5:
		shutdown(*client, SHUT_WR);
		break;
	case 6:
		close(*client);
		*client = -1;
		break;
	case 7:
		publish(in);
		break;
	case 8:
		scribble(in);
		break;
	case 9:
		house.hold_status = fuzz_byte(in) % 2 ? ENOSPC : 0;
		break;
	default:
		restart();
	}
}

static int count_open(void)
{
	int n = 0;

	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void run(struct fuzz_input *in)
{
	int clients[N_CLIENTS] = { -1, -1, -1, -1 };

	n_restarts = 0;
	house_start(&house);
	for (int i = 0; i < STEPS_MAX && in->left > 0; i++) {
		step(in, &clients[fuzz_byte(in) % N_CLIENTS]);
		house_turn(&house);
		for (int k = 0; k < N_CLIENTS; k++) {
			if (clients[k] >= 0)
				listen_to(clients[k]);
		}
	}
	house.hold_status = 0;
	house_leave(&house);
	for (int k = 0; k < N_CLIENTS; k++) {
		if (clients[k] >= 0)
			close(clients[k]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	int n_open;

	if (!house.watcher && house.dir[0] == '\0')
		house_build(&house);
	n_open = count_open();
	run(&in);
	FUZZ_CHECK(count_open() == n_open);
	return 0;
}
