/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SESSION_H
#define HTTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"

#define SESSION_HOLD_MS 5000u     /* requests wait so long for a token, then go without */
#define SESSION_RELOGIN_MS 60000u /* between two logins that refused requests cause */
#define SESSION_SETTLE_MS 1000u   /* what is refused so soon after a login was sent before it */
#define SESSION_TTL_UNKNOWN_S 300u
#define SESSION_USER_MAX 256u

/* What became of a login. */
enum session_end {
	SESSION_GRANTED,
	SESSION_REFUSED,  /* a server answered, with whatever but a token */
	SESSION_UNREACHED /* none answered */
};

/* The login of one registry. All fields private to session.c. */
struct session {
	char username[SESSION_USER_MAX + 1]; /* "": nobody logs in */
	struct secret password;
	struct secret token;
	uint32_t generation; /* changes with the token */
	uint32_t n_failures; /* logins in a row */
	uint32_t seed;
	bool in_flight;      /* a login */
	uint64_t due_ms;     /* of the next login; CLOCK_NEVER: none */
	uint64_t hold_ms;    /* requests wait until then; 0: they need not */
	uint64_t relogin_ms; /* no refused request causes a login before */
	uint64_t settled_ms; /* what is refused before was sent with an older token */
};

/* seed: any number. Nobody logs in until there are credentials. */
void session_init(struct session *s, uint32_t seed);
/* Wipes what is secret. Idempotent. */
void session_deinit(struct session *s);

/*
 * Logs in as this user from now on; NULL or "": as nobody, and the token is wiped. The same once more changes
 * nothing. What is given is copied. A login under way counts no more: drop it. 0; -ENAMETOOLONG or -ENOMEM,
 * everything as it was. True in *changed when something did.
 */
int session_set_credentials(struct session *s, const char *username, const struct secret *password,
			    uint64_t now_ms, bool *changed);

/* A login is to begin now: it is under way until session_done(). */
bool session_take(struct session *s, uint64_t now_ms);
/* token and ttl_s (0: unknown) with SESSION_GRANTED alone. */
void session_done(struct session *s, enum session_end end, const char *token, size_t n_token,
		  uint32_t ttl_s, uint64_t now_ms);
/*
 * A request was refused for want of rights (401, 403). True: a login is on its way that may change that, so ask
 * again, and session_holds() says when.
 */
bool session_denied(struct session *s, uint64_t now_ms);

/* Requests are to wait: there will be a token in a moment, or session_due_ms() ends it. */
bool session_holds(const struct session *s, uint64_t now_ms);
/* When session_take() or session_holds() change their answer by themselves. */
uint64_t session_due_ms(const struct session *s, uint64_t now_ms);
/* When session_holds() alone does. */
uint64_t session_hold_due_ms(const struct session *s, uint64_t now_ms);

static inline bool session_logs_in(const struct session *s)
{
	return s->username[0] != '\0';
}

/* When the next login begins, holds or not. */
static inline uint64_t session_retry_ms(const struct session *s)
{
	return s->due_ms;
}

static inline const struct secret *session_token(const struct session *s)
{
	return &s->token;
}

static inline uint32_t session_generation(const struct session *s)
{
	return s->generation;
}

#endif
