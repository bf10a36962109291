/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotas: what one uid may have and do at a time
 *
 * Every connection costs a descriptor here and one in the keeper, every message a system call or two, so whoever
 * may connect could use up both. The kernel's word for who that is is the uid. A uid's limits are its own, but
 * descriptors are the host's: of what this process may have, a few are kept for itself, three quarters are as
 * much as any one uid gets whatever its limit says, and the last eighth is for uids that have next to nothing, so
 * that several greedy ones together do not lock out another.
 *
 * Messages are counted in windows of QUOTA_WINDOW_MS, for the lease and for its uid; half of a uid's share is as
 * much as one lease may use up. The first few of each lease are always read: an honest process asks and rings
 * seldom, and gets through beside a flooder of its own uid.
 *
 * Accounts are few, so they are searched. One that has no connection and nothing to show is given to the next
 * uid. Nothing here reads a clock or a socket. Watcher thread only.
 */
#include "segment/quota.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_DESCRIPTORS 512u /* memfds of the domains, registry, tools, /proc */
#define POOR 16u             /* connections; who has fewer may use the last eighth */
#define FREE_MESSAGES 2u     /* a window */

void quotas_init(struct quotas *q, const struct quota_limits *limits, uint64_t n_descriptors,
		 uint32_t per_lease)
{
	uint64_t own = n_descriptors / 2 < OWN_DESCRIPTORS ? n_descriptors / 2 : OWN_DESCRIPTORS;
	uint64_t room = (n_descriptors - own) / per_lease;

	*q = (struct quotas){ .limits = *limits };
	q->room = room > UINT32_MAX ? UINT32_MAX : (uint32_t)room;
	if (q->limits.leases > q->room / 4 * 3)
		q->limits.leases = q->room / 4 * 3;
	if (q->limits.silent > q->room / 4)
		q->limits.silent = q->room / 4;
}

void quotas_deinit(struct quotas *q)
{
	for (uint32_t i = 0; i < QUOTA_ACCOUNTS_MAX; i++)
		free(q->accounts[i]);
	*q = (struct quotas){ .room = 0 };
}

static bool shown(const struct quota_refusal *r, uint64_t now_ms)
{
	return r->n > 0 && now_ms - r->last_ms < QUOTA_SHOWN_MS;
}

/* 0: in use. Else the greater, the better to be given away. */
static unsigned int idleness(const struct quota_account *a, uint64_t now_ms)
{
	if (a->n_leases > 0 || a->n_silent > 0)
		return 0;
	for (unsigned int k = 0; k < QUOTA_KINDS; k++) {
		if (shown(&a->refusals[k], now_ms))
			return 1;
	}
	return 2;
}

/* A place for another account: a free one, or that of one who is idle. NULL: there is none. */
static struct quota_account **find_place(struct quotas *q, uint64_t now_ms)
{
	struct quota_account **best = NULL;
	unsigned int best_idle = 0;

	for (uint32_t i = 0; i < QUOTA_ACCOUNTS_MAX; i++) {
		unsigned int idle;

		if (!q->accounts[i])
			return &q->accounts[i];
		idle = idleness(q->accounts[i], now_ms);
		if (idle > best_idle) {
			best = &q->accounts[i];
			best_idle = idle;
		}
	}
	return best;
}

struct quota_account *quota_account(struct quotas *q, uid_t uid, uint64_t now_ms)
{
	struct quota_account **place;

	for (uint32_t i = 0; i < QUOTA_ACCOUNTS_MAX; i++) {
		if (q->accounts[i] && q->accounts[i]->uid == uid)
			return q->accounts[i];
	}
	place = find_place(q, now_ms);
	if (!place)
		return NULL;
	free(*place);
	*place = calloc(1, sizeof(**place));
	if (*place)
		(*place)->uid = uid;
	return *place;
}

/* Of what all uids share. */
static bool has_room(const struct quotas *q, const struct quota_account *account)
{
	uint32_t common = q->room - q->room / 8;

	return q->n_open < (account->n_leases + account->n_silent < POOR ? q->room : common);
}

bool quota_connect(struct quotas *q, struct quota_account *account, char text[QUOTA_TEXT_MAX],
		   enum quota_kind *kind)
{
	*kind = QUOTA_SILENT;
	if (account->n_silent >= q->limits.silent) {
		snprintf(text, QUOTA_TEXT_MAX,
			 "uid %u has %u connections that have not said HELLO (silent_leases = %u)",
			 account->uid, account->n_silent, q->limits.silent);
		return false;
	}
	if (!has_room(q, account)) {
		*kind = QUOTA_LEASES;
		snprintf(text, QUOTA_TEXT_MAX,
			 "the agent has no descriptor to spare for uid %u: %u connections are open",
			 account->uid, q->n_open);
		return false;
	}
	q->n_open++;
	account->n_silent++;
	return true;
}

bool quota_greet(struct quotas *q, struct quota_account *account, char text[QUOTA_TEXT_MAX])
{
	if (account->n_leases >= q->limits.leases) {
		snprintf(text, QUOTA_TEXT_MAX,
			 "uid %u holds %u leases, as many as it may (leases = %u)", account->uid,
			 account->n_leases, q->limits.leases);
		return false;
	}
	assert(account->n_silent > 0);
	account->n_silent--;
	account->n_leases++;
	return true;
}

void quota_adopt(struct quotas *q, struct quota_account *account)
{
	q->n_open++;
	account->n_leases++;
}

void quota_end(struct quotas *q, struct quota_account *account, bool silent)
{
	uint32_t *n = silent ? &account->n_silent : &account->n_leases;

	assert(*n > 0 && q->n_open > 0);
	--*n;
	q->n_open--;
}

static uint32_t count_in(struct quota_window *w, uint64_t number)
{
	if (w->number != number)
		*w = (struct quota_window){ .number = number };
	return w->n;
}

bool quota_message(const struct quotas *q, struct quota_account *account,
		   struct quota_window *lease, uint64_t now_ms)
{
	const uint32_t share = q->limits.messages_per_second / (1000 / QUOTA_WINDOW_MS) + 1;
	const uint64_t number = now_ms / QUOTA_WINDOW_MS;
	uint32_t n = count_in(lease, number);
	uint32_t n_all = count_in(&account->messages, number);

	if (q->limits.messages_per_second > 0 && n >= FREE_MESSAGES &&
	    (n_all >= share || n >= share / 2))
		return false;
	lease->n++;
	account->messages.n++;
	return true;
}

void quota_note(struct quota_account *account, enum quota_kind kind, pid_t pid, const char *program,
		const char *text, uint64_t now_ms)
{
	struct quota_refusal *r = &account->refusals[kind];

	r->n++;
	r->last_ms = now_ms;
	r->pid = pid;
	snprintf(r->program, sizeof(r->program), "%s", program);
	snprintf(r->text, sizeof(r->text), "%s", text);
}

void quota_each(const struct quotas *q, uint64_t now_ms,
		void (*fn)(void *ctx, uid_t uid, const struct quota_refusal *r), void *ctx)
{
	for (uint32_t i = 0; i < QUOTA_ACCOUNTS_MAX; i++) {
		const struct quota_account *a = q->accounts[i];

		for (unsigned int k = 0; a && k < QUOTA_KINDS; k++) {
			if (shown(&a->refusals[k], now_ms))
				fn(ctx, a->uid, &a->refusals[k]);
		}
	}
}
