/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adoption from a journal that was cut at any point of its writing, and from one that is no good at all.
 *
 * A watcher lives a life: clients come, register, change, one dies. Every put into its journal is noted, with
 * all that the agent would have left had it died there: journal, segment, what the keeper held. Then each put is
 * cut short in many places, and a successor adopts what is there, in a process of its own.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* cells.c is this program's own, so that it sees every put. */
#define cells_put cells_put_whole
#include "segment/cells.c"
#undef cells_put

#include "fuzz/house.c" /* the fuzzers' watcher: it can crash and be adopted */
#include "lib/snapshot.h"
#include "lib/writer.h"

void cells_put(void *record, uint32_t max, const void *data, uint32_t length);

#define EVENTS_MAX 96
#define CUTS 12u /* of each put, beside its ends; every byte is test_journal_torn's */
#define CHANGED_MAX 4200u
#define N_RANDOM 150u

enum {
	CHANGES = 1001, /* updates itself */
	NO_IP = 1002,   /* leaves its address to the agent */
	LARGE = 1003,   /* with a large slot */
	DIES = 1004     /* a process of its own, dead when it comes to adopting */
};

/* One put into the journal and the world right before it. */
struct event {
	struct snapshot journal, data, status;
	uint32_t n_held;
	uint32_t settled; /* bits of ports, from CHANGES on, whose confirmation is in the journal */
	off_t at;         /* what the put changes */
	uint32_t n;
	uint8_t before[CHANGED_MAX], after[CHANGED_MAX];
};

static struct house h;
static struct event *events;
static uint32_t n_events;
static bool noting;
static uint32_t settled;
static int journal_fd = -1;

static int held_fd(uint32_t kind)
{
	for (uint32_t i = 0; i < h.n_held; i++) {
		if (h.held[i].kind == kind)
			return h.held[i].fd;
	}
	return -1;
}

/* The range in which the file is no longer as it was. A put changes one record. */
static void note_change(struct event *e)
{
	static struct snapshot now;
	off_t first = -1, last = -1;

	snapshot_take(&now, journal_fd);
	for (uint32_t i = 0; i < now.n; i++) {
		const uint8_t *old = (const uint8_t[SNAPSHOT_PAGE]){ 0 };

		for (uint32_t k = 0; k < e->journal.n; k++)
			old = e->journal.pages[k].at == now.pages[i].at ? e->journal.pages[k].bytes
									: old;
		for (uint32_t b = 0; b < SNAPSHOT_PAGE; b++) {
			if (old[b] == now.pages[i].bytes[b])
				continue;
			first = first < 0 ? now.pages[i].at + b : first;
			last = now.pages[i].at + b;
		}
	}
	cr_assert(first >= 0 && last - first < (off_t)CHANGED_MAX);
	e->at = first;
	e->n = (uint32_t)(last - first + 1);
	cr_assert_eq(pread(journal_fd, e->after, e->n, first), (ssize_t)e->n);
}

void cells_put(void *record, uint32_t max, const void *data, uint32_t length)
{
	struct event *e = &events[n_events];
	uint8_t record_before[2 * (CELLS_HEAD + sizeof(struct journal_slot))];
	char path[108];

	if (!noting) {
		cells_put_whole(record, max, data, length);
		return;
	}
	cr_assert_lt(n_events, EVENTS_MAX);
	path_of(&h, "journal", path);
	if (journal_fd < 0)
		journal_fd = open(path, O_RDWR | O_CLOEXEC);
	memcpy(record_before, record, cells_size(max));
	snapshot_take(&e->journal, journal_fd);
	if (held_fd(CHANNEL_STATUS) >= 0) {
		snapshot_take(&e->data, held_fd(CHANNEL_DATA));
		snapshot_take(&e->status, held_fd(CHANNEL_STATUS));
	}
	e->n_held = h.n_held;
	e->settled = settled;
	cells_put_whole(record, max, data, length);
	note_change(e);
	/* The bytes of before, from the record: its page may not have been there. */
	snapshot_put_back(&e->journal, journal_fd);
	(void)pread(journal_fd, e->before, e->n, e->at);
	cr_assert_eq(pwrite(journal_fd, e->after, e->n, e->at), (ssize_t)e->n);
	n_events++;
}

/* The clients */

static uint32_t describe(uint8_t *out, uint16_t port, uint32_t weight, uint32_t n_metadata)
{
	const double weights[] = { 0, 1, 2 };
	struct onebeat_numbers n = { .port = port,
				     .flags = ONEBEAT_DESC_ENABLED | ONEBEAT_DESC_EPHEMERAL };
	const uint16_t head[] = { ONEBEAT_FIELD_NUMBERS, sizeof(n) };
	const uint16_t service[] = { ONEBEAT_FIELD_SERVICE, 6 };
	const uint16_t ip[] = { ONEBEAT_FIELD_IP, 8 };
	const uint16_t metadata[] = { ONEBEAT_FIELD_METADATA, (uint16_t)(5 + n_metadata) };
	const uint16_t pair[] = { 1, (uint16_t)n_metadata };
	uint64_t bits;
	uint32_t at = 0;

	memcpy(&bits, &weights[weight], sizeof(bits));
	n.weight_lo = (uint32_t)bits;
	n.weight_hi = (uint32_t)(bits >> 32);
	memcpy(out, head, 4);
	memcpy(out + 4, &n, sizeof(n));
	at = 4 + sizeof(n);
	memcpy(out + at, service, 4);
	memcpy(out + at + 4, "orders\0", 8);
	at += 12;
	if (port != NO_IP) {
		memcpy(out + at, ip, 4);
		memcpy(out + at + 4, "10.0.0.9", 8);
		at += 12;
	}
	if (n_metadata > 0) {
		memcpy(out + at, metadata, 4);
		memcpy(out + at + 4, pair, 4);
		out[at + 8] = 'k';
		memset(out + at + 9, 'v', n_metadata);
		memset(out + at + 9 + n_metadata, 0, 3);
		at += 4 + ONEBEAT_PAD4(5 + n_metadata);
	}
	return at;
}

/* Connects and registers with its first word. */
static int say_hello(uint16_t port)
{
	union {
		struct onebeat_hello hello;
		uint8_t bytes[ONEBEAT_LEASE_MSG_MAX];
	} m = { .hello = { .msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_HELLO, 0 },
			   .major = ONEBEAT_SEGMENT_MAJOR,
			   .byte_order = ONEBEAT_SEGMENT_BYTE_ORDER } };
	int fd = house_connect(&h);

	m.hello.length = describe(m.bytes + sizeof(m.hello), port, 1, port == LARGE ? 900 : 0);
	m.hello.msg.size = (uint16_t)(sizeof(m.hello) + m.hello.length);
	cr_assert_eq(send(fd, m.bytes, m.hello.msg.size, 0), m.hello.msg.size);
	return fd;
}

static struct slot *slot_of(uint16_t port)
{
	struct domain *d = h.watcher->domains[0];

	for (uint32_t i = 0; d && i < d->n_high; i++) {
		if (d->slots[i].state == SLOT_LIVE && d->slots[i].descriptor->port == port)
			return &d->slots[i];
	}
	return NULL;
}

/* As the sender does it: before the POST, and after its answer. */
static void journal_writes(uint16_t port)
{
	struct beat *beat = slot_of(port)->instance->beat;
	struct journal_progress rec = { .posted = slot_of(port)->instance->version,
					.acked = beat->past.acked };

	cr_assert_eq(journal_put_progress(h.watcher->journal, beat->id, &rec), 0);
	rec.acked = rec.posted;
	cr_assert_eq(journal_put_progress(h.watcher->journal, beat->id, &rec), 0);
	beat->past.acked = rec.acked;
	settled |= 1u << (port - CHANGES);
}

static void settle(uint16_t port)
{
	house_turn(&h);
	cr_assert_not_null(slot_of(port), "%u is registered", port);
	journal_writes(port);
}

static pid_t start_mortal(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)say_hello(DIES);
		for (;;)
			pause();
	}
	return pid;
}

static bool mortal_is_there(void)
{
	house_turn(&h);
	return slot_of(DIES);
}

static void live(void)
{
	const struct slot *slot;
	uint8_t descriptor[256];
	uint32_t length;
	pid_t mortal;

	house_build(&h);
	events = calloc(EVENTS_MAX, sizeof(*events));
	cr_assert_not_null(events);
	house_start(&h);
	noting = true;
	(void)say_hello(CHANGES);
	settle(CHANGES);
	mortal = start_mortal();
	while (!mortal_is_there())
		sched_yield();
	journal_writes(DIES);
	(void)say_hello(NO_IP);
	settle(NO_IP);
	(void)say_hello(LARGE);
	settle(LARGE);
	slot = slot_of(CHANGES);
	length = describe(descriptor, CHANGES, 2, 0);
	settled &= ~1u; /* from here on it may have a POST to come */
	writer_publish(&h.watcher->domains[0]->memory, slot->index, slot->generation, 2,
		       ONEBEAT_OP_LIVE, descriptor, length);
	settle(CHANGES);
	noting = false;
	kill(mortal, SIGKILL);
	waitpid(mortal, NULL, 0);
	/* The end of its socket stays unread: it died while the agent was away. */
	house_crash(&h);
	cr_assert_gt(n_events, 30);
}

static void tear_down(void)
{
	pull_down(); /* a test's process does not get to atexit() */
	free(events);
}

TestSuite(adopt_torn, .init = live, .fini = tear_down);

/* The successor */

static void assert_known(const struct descriptor *d)
{
	const char *ip = d->port == NO_IP ? "10.0.0.1" : "10.0.0.9";

	FUZZ_CHECK(d->port >= CHANGES && d->port <= DIES);
	FUZZ_CHECK(strcmp(d->service, "orders") == 0 && strcmp(d->group, "DEFAULT_GROUP") == 0);
	FUZZ_CHECK(strcmp(d->ip, ip) == 0 && strcmp(d->namespace_id, "public") == 0);
	FUZZ_CHECK(d->enabled && d->ephemeral && d->weight >= 1 && d->weight <= 2);
	FUZZ_CHECK(d->weight <= 1 || d->port == CHANGES);
}

/* Every instance is one that was there, whole; its past is what a sender can have written. */
static uint32_t look_at_instances(void)
{
	uint32_t wanted = 0;

	for (uint32_t i = 0; i < h.watcher->instances.n_items; i++) {
		const struct instance *inst = h.watcher->instances.items[i];

		if (!inst)
			continue;
		assert_known(inst->effective ? inst->effective : inst->key);
		FUZZ_CHECK(inst->beat->past.posted <= 2);
		FUZZ_CHECK(inst->beat->past.acked <= inst->beat->past.posted);
		if (inst->wanted)
			wanted |= 1u << (inst->key->port - CHANGES);
	}
	return wanted;
}

/* Nobody is asked to register again who was confirmed. */
static void assert_untouched(uint32_t ports)
{
	for (uint32_t i = 0; i < h.watcher->instances.n_items; i++) {
		const struct instance *inst = h.watcher->instances.items[i];

		if (inst && ports >> (inst->key->port - CHANGES) & 1)
			FUZZ_CHECK(inst->beat->past.acked == inst->version &&
				   inst->beat->past.posted == inst->version);
	}
}

/* A lease goes on, or the keeper lets go of it too, so that its client sees the end and comes back. */
static void assert_no_limbo(void)
{
	for (uint32_t k = 0; k < h.n_held; k++) {
		bool found = h.held[k].kind != CHANNEL_LEASE;

		for (uint32_t i = 0; i < h.watcher->leases.n_items && !found; i++) {
			const struct lease *lease = h.watcher->leases.items[i];

			found = lease && lease->identity.cookie == h.held[k].id && lease->fd >= 0;
		}
		FUZZ_CHECK(found);
	}
}

static void adopt(uint32_t must)
{
	const uint32_t dead = 1u << (DIES - CHANGES);
	uint32_t wanted;

	house_start(&h);
	wanted = look_at_instances();
	FUZZ_CHECK((wanted & must & ~dead) == (must & ~dead));
	assert_untouched(must & ~dead);
	house_turn(&h);
	assert_no_limbo();
	wanted = look_at_instances();
	FUZZ_CHECK((wanted & dead) == 0);
	FUZZ_CHECK((wanted & must & ~dead) == (must & ~dead));
	house_turn(&h);
	_exit(0);
}

static void assert_ended_well(pid_t pid, const char *what, uint32_t a, uint32_t b)
{
	int status = 0;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s %u.%u: status %x", what, a, b,
		  (unsigned int)status);
}

/* Everything as it was before the put. */
static void go_back(const struct event *e)
{
	snapshot_put_back(&e->journal, journal_fd);
	if (held_fd(CHANNEL_STATUS) >= 0 && e->status.size > 0) {
		snapshot_put_back(&e->data, held_fd(CHANNEL_DATA));
		snapshot_put_back(&e->status, held_fd(CHANNEL_STATUS));
	}
}

/* A journal of another kind is replaced by a new file, so here it has to be made again. */
static void make_anew(const struct event *e)
{
	char path[108];

	path_of(&h, "journal", path);
	close(journal_fd);
	unlink(path);
	journal_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cr_assert_eq(ftruncate(journal_fd, e->journal.size), 0);
	go_back(e);
}

static void adopt_cut(const struct event *e, uint32_t cut)
{
	pid_t pid;

	go_back(e);
	cr_assert_eq(pwrite(journal_fd, e->after, cut, e->at), (ssize_t)cut);
	pid = fork();
	if (pid == 0) {
		/* What the keeper was given later does not exist yet. */
		h.n_held = e->n_held;
		adopt(e->settled);
	}
	assert_ended_well(pid, "put", (uint32_t)(e - events), cut);
}

Test(adopt_torn, successor_is_right_wherever_a_put_was_cut)
{
	for (uint32_t i = 0; i < n_events; i++) {
		const struct event *e = &events[i];
		const uint32_t step = e->n / CUTS + 1;

		for (uint32_t cut = 0; cut < e->n; cut += step)
			adopt_cut(e, cut);
		adopt_cut(e, e->n);
	}
}

/* No word of it is believed that its checks do not vouch for. */
Test(adopt_torn, successor_takes_nothing_from_bytes_that_went_wrong)
{
	const struct event *e = &events[n_events - 1];
	uint32_t random = 12345;

	for (uint32_t round = 0; round < N_RANDOM; round++) {
		pid_t pid;

		go_back(e);
		for (uint32_t i = 0; i < 1 + round % 40; i++) {
			uint8_t junk[16];

			for (uint32_t b = 0; b < sizeof(junk); b++) {
				random = random * 1664525u + 1013904223u;
				junk[b] = (uint8_t)(random >> 24);
			}
			random = random * 1664525u + 1013904223u;
			/* Behind the stamp, which would make it all another's. */
			cr_assert_gt(pwrite(journal_fd, junk, 1 + random % sizeof(junk),
					    e->journal.pages[(random >> 8) % e->journal.n].at +
						    256 + (random >> 16) % (SNAPSHOT_PAGE - 272)),
				     0);
		}
		pid = fork();
		if (pid == 0)
			adopt(0);
		assert_ended_well(pid, "random", round, 0);
	}
}

Test(adopt_torn, successor_lives_with_a_journal_that_was_cut_off)
{
	const struct event *e = &events[n_events - 1];
	const off_t sizes[] = { 0,
				1,
				100,
				255,
				256,
				SNAPSHOT_PAGE,
				3 * SNAPSHOT_PAGE + 5,
				e->journal.size / 2,
				e->journal.size - 1 };

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		pid_t pid;

		make_anew(e);
		cr_assert_eq(ftruncate(journal_fd, sizes[i]), 0);
		pid = fork();
		if (pid == 0)
			adopt(0);
		assert_ended_well(pid, "size", i, (uint32_t)sizes[i]);
	}
}

/* Another boot, another format, another number of slots: nobody of it is known, and all leases are let go. */
Test(adopt_torn, successor_knows_nobody_of_a_journal_that_is_not_its_own)
{
	const struct event *e = &events[n_events - 1];

	for (uint32_t at = 0; at < 256; at += 4) {
		pid_t pid;

		make_anew(e);
		cr_assert_eq(pwrite(journal_fd, "\xa5\x5a\xa5\x5a", 4, at), 4);
		pid = fork();
		if (pid == 0) {
			house_start(&h);
			FUZZ_CHECK(h.watcher->instances.n_used == 0);
			FUZZ_CHECK(h.watcher->leases.n_used == 0);
			house_turn(&h);
			FUZZ_CHECK(h.n_held == 0);
			_exit(0);
		}
		assert_ended_well(pid, "stamp", at, 0);
	}
}
