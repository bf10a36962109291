/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/* Quotas: what one uid may have, what is left for the others, and what it costs to be refused. */
#include <criterion/criterion.h>

#include <string.h>

#include "segment/quota.h"
#include "segment/rate.h"

static const struct quota_limits limits = { .leases = 100,
					    .silent = 4,
					    .hello_timeout_ms = 1000,
					    .messages_per_second = 1000,
					    .updates_per_second = 100 };

static char text[QUOTA_TEXT_MAX];
static enum quota_kind kind;

static bool connect_one(struct quotas *q, uid_t uid)
{
	return quota_connect(q, quota_account(q, uid, 1), text, &kind);
}

/* A connection that says HELLO. */
static bool hold_one(struct quotas *q, uid_t uid)
{
	struct quota_account *account = quota_account(q, uid, 1);

	if (!quota_connect(q, account, text, &kind))
		return false;
	if (quota_greet(q, account, text))
		return true;
	kind = QUOTA_LEASES;
	quota_end(q, account, true);
	return false;
}

Test(quota, silent_connections_are_limited_and_named)
{
	struct quotas q;

	quotas_init(&q, &limits, 20000, 1);
	for (int i = 0; i < 4; i++)
		cr_assert(connect_one(&q, 7));
	cr_assert_not(connect_one(&q, 7));
	cr_assert_eq(kind, QUOTA_SILENT);
	cr_assert_str_eq(text,
			 "uid 7 has 4 connections that have not said HELLO (silent_leases = 4)");
	cr_assert(connect_one(&q, 8), "another uid has its own");
	quota_end(&q, quota_account(&q, 7, 1), true);
	cr_assert(connect_one(&q, 7));
	quotas_deinit(&q);
}

Test(quota, leases_are_limited_and_named)
{
	struct quotas q;

	quotas_init(&q, &limits, 20000, 1);
	for (int i = 0; i < 100; i++)
		cr_assert(hold_one(&q, 7));
	cr_assert_not(hold_one(&q, 7));
	cr_assert_eq(kind, QUOTA_LEASES);
	cr_assert_str_eq(text, "uid 7 holds 100 leases, as many as it may (leases = 100)");
	cr_assert(hold_one(&q, 8));
	quotas_deinit(&q);
}

/* Whatever is configured, one uid cannot have all descriptors, nor can three leave none for a fourth. */
Test(quota, descriptors_are_left_for_others)
{
	const struct quota_limits greedy = { .leases = 65536, .silent = 65536 };
	struct quotas q;
	uint32_t n = 0;

	quotas_init(&q, &greedy, 2048, 1);
	cr_assert_eq(q.room, 1536);
	while (hold_one(&q, 1))
		n++;
	cr_assert_eq(n, 1152, "three quarters");
	for (uid_t uid = 2; uid < 4; uid++) {
		while (hold_one(&q, uid))
			n++;
	}
	cr_assert_leq(n, 1536 - 1536 / 8 + 16);
	for (int i = 0; i < 16; i++)
		cr_assert(hold_one(&q, 9), "a newcomer gets its few: %s", text);
	cr_assert_not(hold_one(&q, 9));
	cr_assert(strstr(text, "no descriptor to spare for uid 9"), "%s", text);
	quotas_deinit(&q);
}

Test(quota, a_lease_costs_two_descriptors_where_it_must)
{
	struct quotas q;

	quotas_init(&q, &limits, 2048, 2);
	cr_assert_eq(q.room, 768);
	quotas_init(&q, &limits, 64, 2);
	cr_assert_eq(q.room, 16);
}

Test(quota, what_a_predecessor_granted_stays)
{
	struct quotas q;
	struct quota_account *account;

	quotas_init(&q, &limits, 20000, 1);
	account = quota_account(&q, 7, 1);
	for (int i = 0; i < 200; i++)
		quota_adopt(&q, account);
	cr_assert_eq(account->n_leases, 200);
	cr_assert_not(hold_one(&q, 7));
	quotas_deinit(&q);
}

/* One that floods is muted; beside it a lease of the same uid is still heard, and so is another uid. */
Test(quota, a_flooder_leaves_others_their_messages)
{
	struct quotas q;
	struct quota_window flooder = { 0 }, polite = { 0 }, other = { 0 };
	struct quota_account *a;
	uint32_t n = 0;

	quotas_init(&q, &limits, 20000, 1);
	a = quota_account(&q, 7, 1);
	while (quota_message(&q, a, &flooder, 1000))
		n++;
	cr_assert_leq(n, 1000 / 10);
	cr_assert_geq(n, 1000 / 10 / 2);
	for (int i = 0; i < 100; i++) {
		struct quota_window crowd = { 0 };

		while (quota_message(&q, a, &crowd, 1001))
			n++;
	}
	cr_assert_leq(n, 101 + 100 * 2, "beyond the share only the first few of each");
	cr_assert(quota_message(&q, a, &polite, 1002));
	cr_assert(quota_message(&q, quota_account(&q, 8, 1), &other, 1002));
	cr_assert_eq(quota_window_end_ms(1002), 1100);
	cr_assert(quota_message(&q, a, &flooder, 1100), "the next window");
	quotas_deinit(&q);
}

Test(quota, zero_is_without_limit)
{
	const struct quota_limits none = { .leases = 1, .silent = 1 };
	struct quota_window lease = { 0 };
	struct quotas q;

	quotas_init(&q, &none, 20000, 1);
	for (int i = 0; i < 100000; i++)
		cr_assert(quota_message(&q, quota_account(&q, 7, 1), &lease, 1000));
	quotas_deinit(&q);
}

/* Users that come and go do not fill the table; those who are there, and what was refused lately, stay. */
Test(quota, idle_accounts_make_room)
{
	struct quotas q;

	quotas_init(&q, &limits, 20000, 1);
	cr_assert(hold_one(&q, 1));
	quota_note(quota_account(&q, 2, 1), QUOTA_SLOTS, 1, "p", "t", 1);
	for (uid_t uid = 3; uid < 3000; uid++)
		cr_assert(quota_account(&q, uid, 2));
	cr_assert_eq(quota_account(&q, 1, 2)->n_leases, 1);
	cr_assert_eq(quota_account(&q, 2, 2)->refusals[QUOTA_SLOTS].n, 1);
	quotas_deinit(&q);
	quotas_init(&q, &limits, 20000, 1);
	for (uid_t uid = 0; uid < QUOTA_ACCOUNTS_MAX; uid++)
		cr_assert(hold_one(&q, uid));
	cr_assert_null(quota_account(&q, 4711, 2));
	quotas_deinit(&q);
}

static void count_refusal(void *ctx, uid_t uid, const struct quota_refusal *r)
{
	uint32_t *n = ctx;

	cr_assert_eq(uid, 7);
	cr_assert_eq(r->pid, 12);
	cr_assert_str_eq(r->program, "second");
	cr_assert_str_eq(r->text, "why");
	*n += r->n;
}

Test(quota, refusals_are_counted_and_shown_for_a_while)
{
	struct quotas q;
	uint32_t n = 0;

	quotas_init(&q, &limits, 20000, 1);
	quota_note(quota_account(&q, 7, 1), QUOTA_SLOTS, 11, "first", "because", 1000);
	quota_note(quota_account(&q, 7, 1), QUOTA_SLOTS, 12, "second", "why", 2000);
	quota_each(&q, 3000, count_refusal, &n);
	cr_assert_eq(n, 2);
	quota_each(&q, 2000 + QUOTA_SHOWN_MS, count_refusal, &n);
	cr_assert_eq(n, 2);
	quotas_deinit(&q);
}

Test(rate, gives_so_much_a_second_and_holds_one_seconds_worth)
{
	struct rate r;
	uint32_t n = 0;

	rate_init(&r, 100, 1000);
	for (; rate_left(&r, 1000); n++)
		rate_take(&r, 1);
	cr_assert_eq(n, 100);
	cr_assert_eq(rate_due_ms(&r, 1000), 1000 + 11);
	cr_assert(rate_left(&r, 1011));
	for (uint64_t ms = 1011; ms < 11000; ms++) {
		for (; rate_left(&r, ms); n++)
			rate_take(&r, 1);
	}
	cr_assert(n >= 1098 && n <= 1100, "%u", n);
	cr_assert(rate_left(&r, 1000000));
	for (n = 0; rate_left(&r, 1000000); n++)
		rate_take(&r, 1);
	cr_assert_eq(n, 100, "an idle hour is worth no more than a second");
}

Test(rate, a_debt_is_paid_first)
{
	struct rate r;

	rate_init(&r, 100, 0);
	rate_take(&r, 300);
	cr_assert_not(rate_left(&r, 0));
	cr_assert_not(rate_left(&r, 2000));
	cr_assert_eq(rate_due_ms(&r, 2000), 2011);
	cr_assert(rate_left(&r, 2011));
}

Test(rate, zero_is_without_limit)
{
	struct rate r;

	rate_init(&r, 0, 0);
	rate_take(&r, 1000000);
	cr_assert(rate_left(&r, 0));
}
