/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's whole life with the n-th call of each kind failing: every answer is a code of the table, nothing
 * is left behind in the end, and a program that goes on calling is served all the same as soon as calls succeed
 * again.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/client_rig.h"
#include "lib/fault/fault.h"
#include "lib/until.h"

#define PORT 8080
#define FDS_LOOKED_AT 200
#define N_MAX 500u

static struct client_rig rig;
static int n_open; /* descriptors, while there is no lease */

static int count_open(void)
{
	int n = 0;

	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static bool is_code(int r)
{
	return r == 0 || strcmp(onebeat_strerror(r), onebeat_strerror(-9999)) != 0;
}

/* As a program does that goes on. It updates, too: a bell that was lost is made up for by the next one (the real
 * agent looks once a second, the stand-in does not). */
static bool is_up(struct onebeat_instance *inst)
{
	struct onebeat_report report = { .size = sizeof(report) };
	struct onebeat_spec spec = client_rig_spec(PORT);

	(void)onebeat_attend(rig.ob);
	(void)onebeat_update(inst, &spec);
	return onebeat_status(inst, &report) == 0 && report.state == ONEBEAT_STATE_UP;
}

/* What a program does of which a call may fail; what it has in the end, NULL when it got nowhere. */
static struct onebeat_instance *live(void)
{
	struct onebeat_spec spec = client_rig_spec(PORT);
	struct onebeat_instance *inst = NULL;
	int r = onebeat_open(&rig.ob, NULL);

	cr_assert(is_code(r) && (r == 0) == (rig.ob != NULL), "open: %d", r);
	if (r < 0)
		return NULL;
	r = onebeat_register(rig.ob, &spec, &inst);
	cr_assert(is_code(r) && (r == 0) == (inst != NULL), "register: %d", r);
	if (!inst)
		return NULL;
	spec.weight = 2;
	cr_assert(is_code(onebeat_update(inst, &spec)));
	cr_assert(is_code(onebeat_set_status(inst, ONEBEAT_STATE_DOWN)));
	cr_assert(is_code(onebeat_set_status(inst, ONEBEAT_STATE_UP)));
	cr_assert(is_code(onebeat_attend(rig.ob)));
	onebeat_tick(inst);
	return inst;
}

static void end(struct onebeat_instance *inst)
{
	if (inst)
		cr_assert(is_code(onebeat_deregister(inst)));
	cr_assert_eq(onebeat_close(rig.ob), 0);
	rig.ob = NULL;
}

/* False: there are fewer such calls. */
static bool life_with(enum fault_kind kind, unsigned int n)
{
	struct onebeat_instance *inst;
	bool failed;

	fault_arm(kind, n);
	inst = live();
	failed = fault_disarm();
	cr_expect(inst || failed, "%s %u: nothing failed, and nothing was registered",
		  fault_name(kind), n);
	if (inst)
		cr_expect(UNTIL(is_up(inst)), "%s %u: never up", fault_name(kind), n);
	end(inst);
	/* The agent closes its end when it has seen ours. */
	cr_expect(UNTIL(count_open() == n_open), "%s %u: descriptors are left", fault_name(kind),
		  n);
	return failed;
}

/* Closing while calls fail. */
static void close_with(enum fault_kind kind, unsigned int n)
{
	struct onebeat_instance *inst = live();

	fault_arm(kind, n);
	end(inst);
	(void)fault_disarm();
}

Test(fault_library, whole_life, .timeout = 110)
{
	unsigned int n_failed = 0;

	client_rig_init(&rig);
	for (int kind = 0; kind < FAULT_N; kind++) {
		unsigned int n = 1;

		client_rig_start(&rig); /* it has room for some dozens of leases */
		n_open = count_open();
		while (n < N_MAX && life_with((enum fault_kind)kind, n))
			n++;
		cr_assert_lt(n, N_MAX);
		n_failed += n - 1;
		close_with((enum fault_kind)kind, 1);
		cr_expect(UNTIL(count_open() == n_open));
	}
	cr_expect_gt(n_failed, 10);
	client_rig_deinit(&rig);
}

/* After open the library asks nobody for memory, so there is nothing of that kind to fail. */
Test(fault_library, no_call_allocates_after_open)
{
	client_rig_up(&rig);
	fault_arm(FAULT_ALLOC, 0);
	client_rig_register(&rig, PORT);
	cr_assert_eq(fault_count(FAULT_ALLOC), 0);
	client_rig_deinit(&rig);
}
