/* SPDX-License-Identifier: Apache-2.0 */
/* labels: tsan */
/* One handle in the hands of sixteen threads, and of an agent that goes and comes. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/client_rig.h"
#include "lib/until.h"

#define N_THREADS 16
#define N_ROUNDS 25
#define PORT 9000

static struct client_rig rig;
static atomic_uint n_wrong;
static atomic_int last_wrong;
static atomic_bool stopping;

static void set_up(void)
{
	struct onebeat_options o = onebeat_options_init();

	o.max_instances = N_THREADS;
	client_rig_init(&rig);
	rig.n_slots = 2048; /* none is granted twice */
	client_rig_start(&rig);
	client_rig_open(&rig, &o);
}

static void tear_down(void)
{
	client_rig_deinit(&rig);
}

TestSuite(client_threads, .init = set_up, .fini = tear_down);

static void expect(int code, int wanted)
{
	if (code == wanted)
		return;
	atomic_store(&last_wrong, code);
	atomic_fetch_add(&n_wrong, 1);
}

static void run_threads(void *(*body)(void *), int n)
{
	pthread_t threads[N_THREADS];

	for (int i = 0; i < n; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, body, (void *)(uintptr_t)i), 0);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(atomic_load(&n_wrong), 0, "%u calls failed, one with %d",
		     atomic_load(&n_wrong), atomic_load(&last_wrong));
}

static void *live_and_leave(void *context)
{
	struct onebeat_spec spec = client_rig_spec((uint16_t)(PORT + (uintptr_t)context));
	struct onebeat_report report = { .size = sizeof(report) };

	for (int i = 0; i < N_ROUNDS; i++) {
		struct onebeat_instance *inst = NULL;

		expect(onebeat_register(rig.ob, &spec, &inst), 0);
		spec.weight = i;
		expect(onebeat_update(inst, &spec), 0);
		expect(onebeat_set_status(inst, ONEBEAT_STATE_DOWN), 0);
		onebeat_tick(inst);
		expect(onebeat_status(inst, &report), 0);
		expect(onebeat_wait(inst, ONEBEAT_STATE_UP, (int)UNTIL_MS), 0);
		expect(onebeat_deregister(inst), 0);
	}
	return NULL;
}

Test(client_threads, instances_of_many_threads_do_not_mix)
{
	run_threads(live_and_leave, N_THREADS);
	cr_assert(UNTIL(
		(onebeat_attend(rig.ob), standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE) == 0)));
	cr_assert_geq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW), N_THREADS * N_ROUNDS);
}

/* All of one instance: each thread holds a reference of its own. */
static void *share(void *context)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_report report = { .size = sizeof(report) };
	struct onebeat_instance *inst = NULL;

	spec.weight = (double)(uintptr_t)context;
	for (int i = 0; i < N_ROUNDS; i++) {
		expect(onebeat_register(rig.ob, &spec, &inst), 0);
		expect(onebeat_update(inst, &spec), 0);
		onebeat_tick(inst);
		expect(onebeat_status(inst, &report), 0);
		expect(onebeat_deregister(inst), 0);
	}
	return NULL;
}

Test(client_threads, references_of_one_instance_add_up)
{
	struct onebeat_instance *inst = client_rig_register(&rig, PORT);
	struct standin_agent_view view;
	uint32_t slot = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE).slot;

	run_threads(share, N_THREADS);
	view = client_rig_await(&rig, PORT, ONEBEAT_OP_LIVE);
	cr_assert_eq(view.slot, slot, "it never left");
	cr_assert_eq(atomic_load(memory_tick(standin_agent_memory(rig.agent), slot)),
		     N_THREADS * N_ROUNDS, "not one tick is lost");
	cr_assert_eq(onebeat_deregister(inst), 0);
	client_rig_await(&rig, PORT, ONEBEAT_OP_WITHDRAW);
}

/* Meanwhile the agent may be away: update, tick, status and attend go on, whatever the state. */
static void *go_on(void *context)
{
	uint16_t port = (uint16_t)(PORT + (uintptr_t)context);
	struct onebeat_spec spec = client_rig_spec(port);
	struct onebeat_report report = { .size = sizeof(report) };
	struct onebeat_instance *inst = NULL;

	expect(onebeat_register(rig.ob, &spec, &inst), 0);
	while (!atomic_load(&stopping)) {
		int r = onebeat_attend(rig.ob);

		expect(r, r == ONEBEAT_E_DETACHED ? r : 0);
		spec.weight = spec.weight < 100 ? spec.weight + 1 : 0;
		expect(onebeat_update(inst, &spec), 0);
		onebeat_tick(inst);
		expect(onebeat_status(inst, &report), 0);
	}
	return NULL;
}

static void *replace_agent(void *context)
{
	(void)context;
	for (int i = 0; i < 5; i++) {
		client_rig_start(&rig);
		if (!UNTIL(standin_agent_n_slots(rig.agent, ONEBEAT_OP_LIVE) == 4))
			expect(-100, 0);
	}
	atomic_store(&stopping, true);
	return NULL;
}

static void *replace_or_go_on(void *context)
{
	return (uintptr_t)context == 4 ? replace_agent(context) : go_on(context);
}

Test(client_threads, calls_go_on_while_agents_come_and_go)
{
	run_threads(replace_or_go_on, 5);
	cr_assert_eq(standin_agent_n_slots(rig.agent, ONEBEAT_OP_WITHDRAW), 0);
}
