/* SPDX-License-Identifier: Apache-2.0 */
/* Grants: one at hand, asked for, unasked, refused, late, outgrown. */
#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

#include "lib/client_rig.h"
#include "lib/until.h"

#define PORT 8080
#define BRIEF_MS 150u

static struct client_rig rig;

static void set_up(void)
{
	struct onebeat_options o = onebeat_options_init();

	o.timeout_ms = BRIEF_MS;
	o.max_instances = 32;
	client_rig_init(&rig);
	client_rig_start(&rig);
	client_rig_open(&rig, &o);
}

static void tear_down(void)
{
	client_rig_deinit(&rig);
}

TestSuite(client_grant, .init = set_up, .fini = tear_down);

static uint32_t n_live(void)
{
	return standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE);
}

static uint32_t n_withdrawn(void)
{
	return standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW);
}

static bool attends(void)
{
	return onebeat_attend(rig.ob) == 0;
}

Test(client_grant, first_register_uses_the_grant_at_hand)
{
	standin_agent_slow(rig.agent, true);
	client_rig_register(&rig, PORT);
	cr_assert_eq(n_live(), 1, "a memory write: seen at once, whatever the agent does");
	cr_assert_eq(standin_agent_counts(rig.agent).n_asks, 0);
}

Test(client_grant, many_registers_in_a_row_all_arrive_once)
{
	for (uint16_t i = 0; i < 32; i++)
		client_rig_register(&rig, (uint16_t)(PORT + i));
	cr_assert(UNTIL((attends(), n_live() == 32)));
	cr_assert_eq(n_withdrawn(), 0);
}

Test(client_grant, agent_that_grants_nothing_ahead_is_asked_with_the_descriptor)
{
	standin_agent_ahead(rig.agent, false);
	client_rig_register(&rig, PORT);
	cr_assert_eq(n_live(), 1);
	client_rig_register(&rig, PORT + 1);
	cr_assert_eq(n_live(), 2);
	cr_assert_eq(standin_agent_counts(rig.agent).n_ask_descriptors, 1);
	cr_assert_eq(client_rig_await(&rig, PORT + 1, ONEBEAT_OP_LIVE).version, 1);
}

Test(client_grant, update_after_ask_goes_on_from_the_agents_version)
{
	struct onebeat_instance *inst;

	standin_agent_ahead(rig.agent, false);
	client_rig_register(&rig, PORT);
	inst = client_rig_register(&rig, PORT + 1);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
	cr_assert_eq(client_rig_await(&rig, PORT + 1, ONEBEAT_OP_LIVE).version, 2);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
	cr_assert_eq(client_rig_report(inst).state, ONEBEAT_STATE_DOWN);
}

Test(client_grant, no_slot_left_is_refused_and_leaves_room_in_the_handle)
{
	struct onebeat_spec spec = client_rig_spec(PORT + 1);
	struct onebeat_instance *inst;

	standin_agent_limit(rig.agent, ONEBEAT_CLASS_SMALL, 0);
	client_rig_register(&rig, PORT); /* the one ahead */
	for (int i = 0; i < 40; i++) {
		inst = (struct onebeat_instance *)&rig;
		cr_assert_eq(onebeat_register(rig.ob, &spec, &inst), ONEBEAT_E_REFUSED, "%d", i);
		cr_assert_null(inst);
	}
	cr_assert_eq(n_live(), 1);
	standin_agent_limit(rig.agent, ONEBEAT_CLASS_SMALL, 10);
	client_rig_register(&rig, PORT + 1);
	cr_assert(UNTIL((attends(), n_live() == 2)));
}

Test(client_grant, unasked_grants_are_kept_or_dropped_and_do_no_harm)
{
	struct pollfd p = { .fd = onebeat_fd(rig.ob), .events = POLLIN };

	standin_agent_ahead(rig.agent, false);
	standin_agent_grant(rig.agent, ONEBEAT_CLASS_SMALL, 100);
	standin_agent_grant(rig.agent, ONEBEAT_CLASS_LARGE, 20);
	cr_assert_eq(poll(&p, 1, (int)UNTIL_MS), 1, "the descriptor tells of them");
	cr_assert_eq(onebeat_attend(rig.ob), 0);
	cr_assert_eq(poll(&p, 1, 0), 0, "attend has taken them all");
	client_rig_register(&rig, PORT);
	client_rig_register(&rig, PORT + 1);
	cr_assert_eq(n_live(), 2);
	cr_assert_eq(standin_agent_counts(rig.agent).n_asks, 0, "they were used");
	for (uint16_t i = 2; i < 32; i++)
		client_rig_register(&rig, (uint16_t)(PORT + i));
	cr_assert(UNTIL((attends(), n_live() == 32)));
	cr_assert_eq(n_withdrawn(), 0);
}

Test(client_grant, update_that_outgrows_its_slot_moves_to_a_large_one)
{
	struct onebeat_instance *inst = client_rig_register(&rig, PORT);
	struct standin_agent_view small = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	struct onebeat_metadata pair = { "k", NULL };
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct standin_agent_view large;
	char value[1001];

	memset(value, 'v', 1000);
	value[1000] = '\0';
	pair.value = value;
	spec.metadata = &pair;
	spec.n_metadata = 1;
	cr_assert_eq(small.class, ONEBEAT_CLASS_SMALL);
	cr_assert_eq(onebeat_update(inst, &spec), 0);
	cr_assert(UNTIL((attends(), n_withdrawn() == 1)));
	large = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	cr_assert_eq(large.class, ONEBEAT_CLASS_LARGE);
	cr_assert_eq(client_rig_await(&rig, PORT, ONEBEAT_OP_WITHDRAW).slot, small.slot);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
	spec.n_metadata = 0;
	cr_assert_eq(onebeat_update(inst, &spec), 0, "a small one fits a large slot");
	cr_assert_eq(client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE).slot, large.slot);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
}

/* While the large slot is not granted, nothing else than the old version may be read. */
Test(client_grant, old_slot_is_not_withdrawn_before_the_new_one_speaks)
{
	struct onebeat_instance *inst = client_rig_register(&rig, PORT);
	struct onebeat_spec spec = client_rig_largest_spec(PORT, 0);
	struct standin_agent_view view;

	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	standin_agent_slow(rig.agent, true);
	spec.service = "orders";
	spec.group = spec.cluster = spec.namespace_id = spec.registry = NULL;
	spec.ip = "192.0.2.7";
	cr_assert_eq(onebeat_update(inst, &spec), 0, "recorded");
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_ask_descriptors == 1));
	view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	cr_assert_eq(view.class, ONEBEAT_CLASS_SMALL);
	cr_assert_eq(view.version, 1);
	cr_assert_eq(client_rig_report(inst).confirmed, 0, "the newest is not confirmed");
	standin_agent_slow(rig.agent, false);
	cr_assert_eq(n_live(), 2, "the new one speaks, the old one still does");
	cr_assert(UNTIL((attends(), n_withdrawn() == 1)));
	cr_assert_eq(n_live(), 1);
	cr_assert_eq(client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE).class, ONEBEAT_CLASS_LARGE);
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
}

Test(client_grant, update_that_gets_no_larger_slot_leaves_the_old_definition_in_force)
{
	struct onebeat_instance *inst = client_rig_register(&rig, PORT);
	struct onebeat_spec spec = client_rig_largest_spec(PORT, 0);
	struct onebeat_spec small = client_rig_spec(PORT);
	struct onebeat_report report;

	client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	standin_agent_limit(rig.agent, ONEBEAT_CLASS_LARGE, 0);
	small.metadata = spec.metadata;
	small.n_metadata = spec.n_metadata;
	cr_assert_eq(onebeat_update(inst, &small), ONEBEAT_E_REFUSED);
	cr_assert_eq(n_withdrawn(), 0);
	cr_assert_eq(client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE).version, 1);
	report = client_rig_report(inst);
	cr_assert_eq(report.state, ONEBEAT_STATE_REFUSED);
	cr_assert_str_eq(report.text, STANDIN_REFUSAL);
	small.n_metadata = 0;
	small.weight = 3;
	cr_assert_eq(onebeat_update(inst, &small), 0, "one that fits is taken again");
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
}

Test(client_grant, instance_that_left_before_its_answer_came_is_withdrawn)
{
	struct onebeat_instance *inst;

	standin_agent_ahead(rig.agent, false);
	client_rig_register(&rig, PORT);
	standin_agent_slow(rig.agent, true);
	inst = client_rig_register(&rig, PORT + 1);
	cr_assert(UNTIL(standin_agent_counts(rig.agent).n_ask_descriptors == 1));
	cr_assert_eq(onebeat_deregister(inst), 0);
	cr_assert_eq(onebeat_set_status(inst, ONEBEAT_STATE_UP), ONEBEAT_E_HANDLE);
	standin_agent_slow(rig.agent, false);
	cr_assert(UNTIL((attends(), n_withdrawn() >= 1)));
	cr_assert(UNTIL((attends(), n_live() == 1)));
}

Test(client_grant, deregister_withdraws_at_once)
{
	struct onebeat_instance *inst = client_rig_register(&rig, PORT);
	struct standin_agent_view live = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	struct standin_agent_view gone;

	cr_assert_eq(onebeat_deregister(inst), 0);
	gone = client_rig_await(&rig, PORT, ONEBEAT_OP_WITHDRAW);
	cr_assert_eq(gone.slot, live.slot);
	cr_assert_eq(gone.version, live.version + 1);
}

Test(client_grant, register_again_after_deregister_takes_another_slot)
{
	struct onebeat_instance *inst = client_rig_register(&rig, PORT);
	struct standin_agent_view first = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);

	cr_assert_eq(onebeat_deregister(inst), 0);
	inst = client_rig_register(&rig, PORT);
	cr_assert(UNTIL((attends(), n_live() == 1 && n_withdrawn() == 1)));
	cr_assert_neq(client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE).slot, first.slot,
		      "WITHDRAW is the last act on a grant");
	cr_assert_eq(onebeat_wait(inst, ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
}

/* It may wait for its answer, but not for ever. */
Test(client_grant, close_does_not_hang_on_an_agent_that_does_not_answer)
{
	uint64_t start_ms;

	standin_agent_ahead(rig.agent, false);
	client_rig_register(&rig, PORT);
	standin_agent_slow(rig.agent, true);
	client_rig_register(&rig, PORT + 1);
	start_ms = clock_now_ms();
	cr_assert_eq(onebeat_close(rig.ob), 0);
	rig.ob = NULL;
	cr_assert_lt(clock_now_ms() - start_ms, UNTIL_MS / 2);
	cr_assert(UNTIL(n_withdrawn() == 1));
}

/* One call pays for an agent that does not answer, not each of a thousand. */
Test(client_grant, updates_do_not_each_wait_for_a_silent_agent)
{
	struct onebeat_instance *inst;
	uint64_t start_ms;

	standin_agent_ahead(rig.agent, false);
	client_rig_register(&rig, PORT);
	standin_agent_slow(rig.agent, true);
	inst = client_rig_register(&rig, PORT + 1);
	start_ms = clock_now_ms();
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(
			onebeat_set_status(inst, i & 1 ? ONEBEAT_STATE_UP : ONEBEAT_STATE_DOWN), 0);
	cr_assert_lt(clock_now_ms() - start_ms, 1000 * BRIEF_MS / 10);
}
