/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
#include <criterion/criterion.h>
#include <stdio.h>

#include "cluster.h"

static struct cluster cluster;

static void given_three(const char *a, const char *b, const char *c)
{
	const char *addresses[] = { a, b, c };

	cluster = (struct cluster){ .n_members = 3 };
	for (int i = 0; i < 3; i++)
		snprintf(cluster.members[i].address, CLUSTER_ADDRESS_MAX, "%s", addresses[i]);
}

static void given_usual_three(void)
{
	given_three("127.0.0.1:18848", "127.0.0.1:18868", "127.0.0.1:9888");
}

/* Vectors that were computed by hand, and one seen on a cluster of 2.5.1. */
Test(registry_cluster, hashes_as_java_does)
{
	cr_assert_eq(cluster_hash("10.0.0.1:8080"), -1643343804);
	cr_assert_eq(cluster_hash("10.0.0.1:8081"), -1643343803);
	cr_assert_eq(cluster_hash("DEFAULT_GROUP@@orders"), -248381274);
	cr_assert_eq(cluster_hash("\xf0\x9f\x98\x80"), 1772899);
	given_usual_three();
	cr_assert_eq(cluster_owner(&cluster, 1, "10.0.0.1:8080", 0), 0);
	cr_assert_eq(cluster_owner(&cluster, 1, "10.0.0.1:8081", 0), 2);
}

/* 127.0.0.1:9888 is the last as text, wherever it stands in the list. */
Test(registry_cluster, sorts_members_as_text)
{
	given_three("127.0.0.1:9888", "127.0.0.1:18868", "127.0.0.1:18848");
	cr_assert_eq(cluster_owner(&cluster, 0, "10.0.0.1:8080", 0), 2);
	cr_assert_eq(cluster_owner(&cluster, 0, "10.0.0.1:8081", 0), 0);
}

/* A killed member is noticed after 8 to 10 s, and by each at another time. */
Test(registry_cluster, a_kill_is_noticed_late)
{
	given_usual_three();
	cluster_fall(&cluster, 2, MEMBER_KILLED, 1000);
	cr_assert(cluster_sees(&cluster, 0, 2, 8999));
	cr_assert_not(cluster_sees(&cluster, 0, 2, 9000));
	cr_assert(cluster_sees(&cluster, 1, 2, 9600));
	cr_assert_not(cluster_sees(&cluster, 1, 2, 11000));
	cr_assert_eq(cluster_owner(&cluster, 0, "10.0.0.1:8081", 9000), 1);
	cr_assert_eq(cluster_owner(&cluster, 1, "10.0.0.1:8081", 9000), 2);
}

/* Back after all have noticed its fall, it is seen again within five seconds. */
Test(registry_cluster, a_return_is_noticed_late)
{
	given_usual_three();
	cluster_fall(&cluster, 2, MEMBER_KILLED, 0);
	cluster_return(&cluster, 2, 20000);
	cr_assert(cluster_sees(&cluster, 2, 2, 20000));
	cr_assert_not(cluster_sees(&cluster, 0, 2, 20500));
	cr_assert_not(cluster_sees(&cluster, 1, 2, 21500));
	cr_assert(cluster_sees(&cluster, 0, 2, 25000) && cluster_sees(&cluster, 1, 2, 25000));
}

/* A fall too short to be noticed is none. */
Test(registry_cluster, a_short_fall_is_not_noticed)
{
	given_usual_three();
	cluster_fall(&cluster, 2, MEMBER_FROZEN, 0);
	cluster_return(&cluster, 2, 14000);
	for (uint64_t ms = 0; ms < 30000; ms += 500)
		cr_assert(cluster_sees(&cluster, 0, 2, ms));
}

/* What a member is told outlasts what happens; without itself it owns all. */
Test(registry_cluster, a_view_can_be_set)
{
	given_usual_three();
	cluster.members[0].believes = true;
	cluster.members[0].belief = 1 << 0 | 1 << 1;
	cr_assert_not(cluster_sees(&cluster, 0, 2, 0));
	cr_assert(cluster_sees(&cluster, 1, 2, 0));
	cluster.members[0].belief = 1 << 2;
	cr_assert_eq(cluster_owner(&cluster, 0, "10.0.0.1:8081", 0), 0);
}

static enum forward forward(uint64_t now_ms, uint64_t *wait_ms)
{
	return cluster_forward(&cluster, 0, 2, now_ms, wait_ms);
}

/* Two wait 2 s, the next two 4, then 6, and the seventh finds no connection in 5 s. */
Test(registry_cluster, forwards_to_a_frozen_member_queue)
{
	static const uint64_t waits_ms[] = { 2000, 2000, 4000, 4000, 6000, 6000 };
	uint64_t wait_ms;

	given_usual_three();
	cluster_fall(&cluster, 2, MEMBER_FROZEN, 0);
	for (int i = 0; i < 6; i++) {
		cr_assert_eq(forward(0, &wait_ms), FORWARD_TIMED_OUT);
		cr_assert_eq(wait_ms, waits_ms[i]);
	}
	cr_assert_eq(forward(0, &wait_ms), FORWARD_NO_CONNECTION);
	cr_assert_eq(wait_ms, 5000);
	cr_assert_eq(forward(2000, &wait_ms), FORWARD_TIMED_OUT);
	cr_assert_eq(wait_ms, 6000);
}

/* A killed one refuses at once; a slow one takes its time, but no more than 2 s. */
Test(registry_cluster, forwards_take_what_the_peer_takes)
{
	uint64_t wait_ms;

	given_usual_three();
	cr_assert_eq(forward(0, &wait_ms), FORWARD_DONE);
	cr_assert_eq(wait_ms, 0);
	cluster.forward_ms = 100;
	cluster.members[2].slow_ms = 300;
	cr_assert_eq(forward(0, &wait_ms), FORWARD_DONE);
	cr_assert_eq(wait_ms, 400);
	cluster.members[2].slow_ms = 3000;
	cr_assert_eq(forward(10000, &wait_ms), FORWARD_LATE);
	cr_assert_eq(wait_ms, 2000);
	cluster_fall(&cluster, 2, MEMBER_KILLED, 0);
	cr_assert_eq(forward(20000, &wait_ms), FORWARD_REFUSED);
	cr_assert_eq(wait_ms, 0);
}
