/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tie to the agent: absent, slow, of another version, lost, back again, and its descriptor closed
 * behind the library's back.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/client_rig.h"
#include "lib/until.h"

#define PORT 8080
#define BRIEF_MS 150u

static struct client_rig rig;

static void set_up(void)
{
	client_rig_init(&rig);
}

static void tear_down(void)
{
	client_rig_deinit(&rig);
}

TestSuite(client_lease, .init = set_up, .fini = tear_down);

static bool attends(void)
{
	return onebeat_attend(rig.ob) == 0;
}

Test(client_lease, without_an_agent_wishes_are_kept_and_told_when_it_comes)
{
	struct onebeat_instance *inst;
	struct descriptor *d;
	struct standin_agent_view view;

	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
	cr_assert_eq(client_rig_report(inst).state, ONEBEAT_STATE_DETACHED);
	cr_assert_eq(onebeat_attend(rig.ob), ONEBEAT_E_DETACHED);
	cr_assert_eq(onebeat_fd(rig.ob), ONEBEAT_E_DETACHED);
	client_rig_start(&rig);
	cr_assert(UNTIL(attends()));
	view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	d = standin_agent_descriptor(rig.agent, view.slot);
	cr_assert_not(d->enabled, "what was told last holds");
	descriptor_unref(d);
	cr_assert_eq(standin_agent_counts(rig.agent).n_hello_descriptors, 1, "it came with HELLO");
	cr_assert(UNTIL(client_rig_report(inst).state == ONEBEAT_STATE_DOWN));
}

/* An agent that is only starting: its socket takes connections, nobody reads. */
Test(client_lease, program_that_never_calls_again_is_registered_by_what_it_sent)
{
	struct onebeat_options o = onebeat_options_init();

	o.timeout_ms = BRIEF_MS;
	client_rig_start(&rig);
	standin_agent_slow(rig.agent, true);
	client_rig_open(&rig, &o);
	client_rig_register(&rig, PORT);
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_ask_descriptors == 1));
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE), 0);
	standin_agent_slow(rig.agent, false);
	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE), 1);
}

Test(client_lease, slow_answer_is_taken_by_a_later_call_and_makes_nothing_twice)
{
	struct onebeat_options o = onebeat_options_init();
	struct onebeat_instance *inst;

	o.timeout_ms = BRIEF_MS;
	client_rig_start(&rig);
	standin_agent_slow(rig.agent, true);
	client_rig_open(&rig, &o);
	inst = client_rig_register(&rig, PORT);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0, "changed after it was sent");
	cr_assert_eq(onebeat_attend(rig.ob), ONEBEAT_E_DETACHED, "greeted is not attached");
	standin_agent_slow(rig.agent, false);
	cr_assert(UNTIL(attends()));
	cr_assert(UNTIL((attends(), client_rig_report(inst).state == ONEBEAT_STATE_DOWN)));
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE), 1);
	cr_assert_eq(standin_agent_counts(rig.agent).n_hellos, 1);
}

static int open_required(uint32_t timeout_ms)
{
	struct onebeat_options o = onebeat_options_init();
	struct onebeat *ob = (struct onebeat *)&rig;
	int r;

	o.timeout_ms = timeout_ms;
	o.flags = ONEBEAT_OPEN_REQUIRE_AGENT;
	r = onebeat_open(&ob, &o);
	cr_assert_eq(ob != NULL, r == 0);
	onebeat_close(ob);
	return r;
}

Test(client_lease, required_agent_must_answer_in_time)
{
	uint64_t start_ms;

	cr_expect_eq(open_required(1000), ONEBEAT_E_NO_AGENT, "no socket");
	client_rig_start(&rig);
	cr_expect_eq(open_required(1000), 0);
	standin_agent_slow(rig.agent, true);
	start_ms = clock_now_ms();
	cr_expect_eq(open_required(BRIEF_MS), ONEBEAT_E_NO_AGENT, "nobody reads");
	cr_expect_geq(clock_now_ms() - start_ms, BRIEF_MS - 2, "it was given its time");
	cr_expect_lt(clock_now_ms() - start_ms, UNTIL_MS / 2, "and not much more");
	client_rig_kill(&rig);
	cr_expect_eq(open_required(1000), ONEBEAT_E_NO_AGENT, "nobody listens on the path");
}

Test(client_lease, refusals_of_hello_have_their_codes)
{
	static const struct {
		enum onebeat_reason reason;
		int code;
	} cases[] = {
		{ ONEBEAT_REASON_VERSION, ONEBEAT_E_AGENT_VERSION },
		{ ONEBEAT_REASON_DENIED, ONEBEAT_E_NO_AGENT },
		{ ONEBEAT_REASON_BUSY, ONEBEAT_E_NO_AGENT },
	};

	client_rig_start(&rig);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		standin_agent_refuse(rig.agent, cases[i].reason);
		cr_expect_eq(open_required(1000), cases[i].code, "reason %d", (int)cases[i].reason);
	}
}

Test(client_lease, refused_handle_is_detached_and_attaches_when_it_is_let_in)
{
	client_rig_start(&rig);
	standin_agent_refuse(rig.agent, ONEBEAT_REASON_BUSY);
	client_rig_open(&rig, NULL);
	client_rig_register(&rig, PORT);
	cr_assert_eq(onebeat_attend(rig.ob), ONEBEAT_E_DETACHED);
	standin_agent_refuse(rig.agent, 0);
	cr_assert(UNTIL(attends()));
	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
}

/* One field of the memory's own description is spoilt at a time. */
Test(client_lease, memory_of_another_make_is_refused)
{
	struct onebeat_status_header good, *h;

	client_rig_start(&rig);
	h = standin_agent_memory(rig.agent)->status;
	memcpy(&good, h, sizeof(good));
#define EXPECT_REFUSED(change, code)                              \
	do {                                                      \
		change;                                           \
		cr_expect_eq(open_required(1000), code, #change); \
		memcpy(h, &good, 0x80);                           \
		atomic_store(&h->ready, 1);                       \
	} while (0)
	EXPECT_REFUSED((void)0, 0);
	EXPECT_REFUSED(h->magic[0] ^= 1, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->byte_order = UINT32_C(0x04030201), ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->major++, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->minor++, 0);
	EXPECT_REFUSED(h->feat_incompat = 1, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->feat_compat = 1, 0);
	EXPECT_REFUSED(h->line_size *= 2, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->n_small = ONEBEAT_SLOTS_MAX + 1, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->n_large = UINT32_MAX, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->large_offset = UINT32_MAX - 0xffff, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->small_offset = 0, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->data_size *= 2, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(h->status_size *= 2, ONEBEAT_E_AGENT_VERSION);
	EXPECT_REFUSED(atomic_store(&h->ready, 0), ONEBEAT_E_AGENT_VERSION);
#undef EXPECT_REFUSED
}

Test(client_lease, all_instances_are_told_again_to_the_agent_that_comes_back)
{
	struct onebeat_instance *insts[5];
	struct onebeat_spec spec = client_rig_spec(PORT + 2);
	struct standin_agent_view view;
	struct descriptor *d;

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	for (uint16_t i = 0; i < 5; i++)
		insts[i] = client_rig_register(&rig, (uint16_t)(PORT + i));
	client_rig_await(&rig, PORT + 4, ONEBEAT_OP_LIVE);
	client_rig_kill(&rig);
	spec.weight = 42;
	cr_assert_eq(onebeat_update(insts[2], &spec), 0, "absence is no error");
	cr_assert_eq(onebeat_deregister(insts[3]), 0);
	cr_assert_eq(onebeat_attend(rig.ob), ONEBEAT_E_DETACHED);
	cr_assert_eq(client_rig_report(insts[0]).state, ONEBEAT_STATE_DETACHED);
	cr_assert_eq(client_rig_report(insts[0]).confirmed, 0);
	client_rig_start(&rig);
	cr_assert(UNTIL((attends(), standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE) == 4)));
	view = client_rig_await(&rig, PORT + 2, ONEBEAT_OP_LIVE);
	d = standin_agent_descriptor(rig.agent, view.slot);
	cr_assert_float_eq(d->weight, 42.0, 0.0, "what was told meanwhile");
	descriptor_unref(d);
	cr_assert_not(standin_agent_find(rig.agent, PORT + 3, ONEBEAT_OP_LIVE, &view));
	cr_assert_eq(onebeat_wait(insts[4], ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
}

Test(client_lease, lease_that_the_agent_ends_is_made_anew)
{
	struct onebeat_instance *inst;

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	standin_agent_hang_up(rig.agent);
	cr_assert(UNTIL((attends(), standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE) == 2)));
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
	cr_assert_eq(standin_agent_counts(rig.agent).n_connections, 2);
}

/* An update alone, without attend, finds a lost agent within seconds. */
Test(client_lease, updates_find_the_new_agent_by_themselves)
{
	struct onebeat_instance *inst;
	struct onebeat_spec spec = client_rig_spec(PORT);

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	client_rig_start(&rig);
	cr_assert(UNTIL((onebeat_update(inst, &spec),
			 standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE) == 1)));
}

/* Nobody has looked at the lease since its end: the old memory is there, and nobody reads it. */
Test(client_lease, leave_is_told_to_the_agent_that_came_in_a_dead_ones_place)
{
	struct onebeat_instance *inst;

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	client_rig_start(&rig);
	cr_assert_eq(onebeat_deregister(inst), 0);
	cr_assert(UNTIL((attends(), standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW) == 1)));
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE), 0);
}

/* The tie is lost within the pause between attempts, and nobody calls again: the last word waits for no pause. */
Test(client_lease, leave_right_after_opening_is_told_when_the_tie_was_lost)
{
	struct onebeat_instance *inst;

	client_rig_start(&rig);
	for (uint32_t i = 1; i <= 20; i++) {
		client_rig_open(&rig, NULL);
		inst = client_rig_register(&rig, PORT);
		close(onebeat_fd(rig.ob));
		cr_assert_eq(onebeat_deregister(inst), 0);
		cr_assert_eq(onebeat_close(rig.ob), 0);
		rig.ob = NULL;
		cr_assert(UNTIL(standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW) == i),
			  "round %u", i);
	}
}

/* Every call that may use the number. */
static void use_everything(struct onebeat_instance *inst)
{
	struct onebeat_spec spec = client_rig_spec(PORT);

	for (int i = 0; i < 3; i++) {
		cr_assert_eq(onebeat_update(inst, &spec), 0);
		cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_UP), 0);
		(void)onebeat_fd(rig.ob);
		(void)onebeat_attend(rig.ob);
		(void)onebeat_wait(inst, ONEBEAT_STATE_UP, 1);
	}
}

Test(client_lease, number_that_became_another_socket_is_neither_written_nor_closed)
{
	struct onebeat_instance *inst;
	int ends[2], fd;
	char bytes[64];

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	fd = onebeat_fd(rig.ob);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(dup2(ends[0], fd), fd, "the lease is closed by this");
	cr_assert_eq(send(ends[1], "x", 1, 0), 1);
	use_everything(inst);
	cr_assert(UNTIL(attends()), "it attaches anew");
	cr_assert_neq(onebeat_fd(rig.ob), fd);
	cr_assert(UNTIL((attends(), standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE) == 2)));
	cr_assert_eq(onebeat_close(rig.ob), 0);
	rig.ob = NULL;
	cr_assert_lt(recv(ends[1], bytes, sizeof(bytes), MSG_DONTWAIT), 0, "not one byte was sent");
	cr_assert_eq(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), 1, "nor taken, and it is open");
}

Test(client_lease, number_that_became_a_file_is_neither_written_nor_closed)
{
	struct onebeat_instance *inst;
	struct stat st;
	FILE *file = tmpfile();
	int fd;

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	inst = client_rig_register(&rig, PORT);
	fd = onebeat_fd(rig.ob);
	cr_assert_eq(dup2(fileno(file), fd), fd);
	use_everything(inst);
	cr_assert_eq(onebeat_close(rig.ob), 0);
	rig.ob = NULL;
	cr_assert_eq(fstat(fd, &st), 0, "still open");
	cr_assert(S_ISREG(st.st_mode) && st.st_size == 0);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), 0, "not read either");
	fclose(file);
}

/* The close that ends the handle is the first to meet the stranger. */
Test(client_lease, close_leaves_a_strangers_number_alone)
{
	int ends[2], fd;
	char byte;

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	fd = onebeat_fd(rig.ob);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(dup2(ends[0], fd), fd);
	cr_assert_eq(onebeat_close(rig.ob), 0);
	rig.ob = NULL;
	cr_assert_geq(fcntl(fd, F_GETFD), 0);
	cr_assert_lt(recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);
}

Test(client_lease, closed_number_is_noticed_and_the_handle_attaches_anew)
{
	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	client_rig_register(&rig, PORT);
	cr_assert_eq(close(onebeat_fd(rig.ob)), 0);
	cr_assert(UNTIL((attends(), standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE) == 2)));
}

Test(client_lease, exec_ends_the_tie_unless_it_was_asked_to_last)
{
	struct onebeat_options o = onebeat_options_init();

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	cr_assert(fcntl(onebeat_fd(rig.ob), F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(standin_agent_counts(rig.agent).hello_flags, 0);
	cr_assert_str_eq(standin_agent_counts(rig.agent).library, onebeat_version());
	onebeat_close(rig.ob);
	o.flags = ONEBEAT_OPEN_ACROSS_EXEC;
	client_rig_open(&rig, &o);
	cr_assert_not(fcntl(onebeat_fd(rig.ob), F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(standin_agent_counts(rig.agent).hello_flags, ONEBEAT_HELLO_ACROSS_EXEC);
}

Test(client_lease, close_withdraws_every_instance_and_says_goodbye)
{
	struct standin_agent_counts counts;

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	for (uint16_t i = 0; i < 5; i++)
		client_rig_register(&rig, (uint16_t)(PORT + i));
	cr_assert(UNTIL(standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE) == 5));
	cr_assert_eq(onebeat_close(rig.ob), 0);
	rig.ob = NULL;
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_open == 0));
	counts = standin_agent_counts(rig.agent);
	cr_assert_eq(counts.n_goodbyes, 1);
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE), 0);
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW), 5);
}

static int count_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* An attempt has just failed, and the next one would not be due yet. */
Test(client_lease, close_looks_once_more_for_an_agent)
{
	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	client_rig_register(&rig, PORT);
	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	client_rig_kill(&rig);
	while (onebeat_attend(rig.ob) == 0)
		;
	client_rig_start(&rig);
	cr_assert_eq(onebeat_close(rig.ob), 0);
	rig.ob = NULL;
	cr_assert(UNTIL(standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW) == 1));
}

Test(client_lease, handle_costs_one_descriptor_and_gives_it_back)
{
	int n_before;

	client_rig_start(&rig);
	client_rig_open(&rig, NULL);
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_open == 1));
	onebeat_close(rig.ob);
	rig.ob = NULL;
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_open == 0));
	n_before = count_descriptors();
	client_rig_open(&rig, NULL);
	cr_assert_eq(standin_agent_counts(rig.agent).n_open, 1);
	cr_assert_eq(count_descriptors(), n_before + 2,
		     "its end and the agent's; the memfds are mapped");
	onebeat_close(rig.ob);
	rig.ob = NULL;
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_open == 0));
	cr_assert_eq(count_descriptors(), n_before);
}
