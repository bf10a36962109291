/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_QUOTA_H
#define SEGMENT_QUOTA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What one uid may have and do at a time. */
struct quota_limits {
	uint32_t leases;              /* processes that hold a lease */
	uint32_t silent;              /* connections that have not said HELLO */
	uint32_t hello_timeout_ms;    /* ... and for how long */
	uint32_t messages_per_second; /* 0: without limit */
	uint32_t updates_per_second;  /* 0: without limit */
};

/* What was refused. */
enum quota_kind {
	QUOTA_LEASES,
	QUOTA_SILENT,
	QUOTA_HELLO, /* none came in time */
	QUOTA_SLOTS,
	QUOTA_MESSAGES,
	QUOTA_UPDATES,
	QUOTA_DENIED, /* by the allow-list */
	QUOTA_KINDS
};

#define QUOTA_TEXT_MAX 128u     /* as much as REFUSED carries */
#define QUOTA_ACCOUNTS_MAX 256u /* uids at a time */
#define QUOTA_WINDOW_MS 100u    /* messages are counted in such */
#define QUOTA_SHOWN_MS 600000u  /* so long a refusal is shown to tools */

struct quota_refusal {
	uint32_t n;
	uint64_t last_ms;
	pid_t pid; /* of the last one */
	char program[16];
	char text[QUOTA_TEXT_MAX];
};

struct quota_window {
	uint64_t number;
	uint32_t n;
};

/* One uid's. */
struct quota_account {
	uid_t uid;
	uint32_t n_leases;
	uint32_t n_silent;
	struct quota_window messages;
	struct quota_refusal refusals[QUOTA_KINDS];
};

struct quotas {
	struct quota_limits limits;
	uint32_t room; /* leases and silent connections of all uids together */
	uint32_t n_open;
	struct quota_account *accounts[QUOTA_ACCOUNTS_MAX];
};

/* n_descriptors: how many this process may have. per_lease: how many of them a lease takes. */
void quotas_init(struct quotas *q, const struct quota_limits *limits, uint64_t n_descriptors,
		 uint32_t per_lease);
void quotas_deinit(struct quotas *q);

/* The uid's account, a new one if need be. NULL: too many uids at a time, or out of memory. It stays while it has
 * connections, or a refusal to show. */
struct quota_account *quota_account(struct quotas *q, uid_t uid, uint64_t now_ms);

/* May it have one connection more, that has said nothing yet? True and counted, or false with a sentence. */
bool quota_connect(struct quotas *q, struct quota_account *account, char text[QUOTA_TEXT_MAX],
		   enum quota_kind *kind);
/* It has said HELLO: may it hold a lease? True and counted as one, or false with a sentence. */
bool quota_greet(struct quotas *q, struct quota_account *account, char text[QUOTA_TEXT_MAX]);
/* A lease that a predecessor had granted: counted, whatever the limits are today. */
void quota_adopt(struct quotas *q, struct quota_account *account);
/* A connection is gone. silent: it never said HELLO, or was refused one. */
void quota_end(struct quotas *q, struct quota_account *account, bool silent);

/* May one more message of this lease be read in this window? Counted when it may. */
bool quota_message(const struct quotas *q, struct quota_account *account,
		   struct quota_window *lease, uint64_t now_ms);
static inline uint64_t quota_window_end_ms(uint64_t now_ms)
{
	return (now_ms / QUOTA_WINDOW_MS + 1) * QUOTA_WINDOW_MS;
}

/* Notes a refusal for tools to see. */
void quota_note(struct quota_account *account, enum quota_kind kind, pid_t pid, const char *program,
		const char *text, uint64_t now_ms);
void quota_each(const struct quotas *q, uint64_t now_ms,
		void (*fn)(void *ctx, uid_t uid, const struct quota_refusal *r), void *ctx);

#endif
