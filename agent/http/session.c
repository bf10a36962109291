/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The login of one registry
 *
 * One for all instances, and one at a time: thousands of refused beats ask for the same thing. It
 * decides when a login is due; it reads no clock and knows no request, so that a test can replay a
 * day of it.
 *
 * A token is renewed before it ends, at a time drawn anew for each, so that hosts which started
 * together do not stay together. A server may name what is left of a token that it handed out
 * earlier, and may end it at any time by a change of its key: hence a refused request causes a
 * login too, but at most one a minute, because most are refused for want of a right that no login
 * changes. Failing logins wait twice as long each time; nothing shortens that but new credentials.
 * No answer is less of a reason to wait than a refusal: the same servers get the beats anyway.
 *
 * Until the first token, and while one that was refused is being replaced, requests are held back,
 * for a bounded time: sent, they would only be refused. After that they go out with what there is.
 * A registry that checks nobody takes them, and any other says why it does not.
 */
#include "http/session.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "beat/jitter.h"

#define BACKOFF_FIRST_MS 1000u /* half of the step is certain, half is drawn */
#define BACKOFF_REFUSED_MS 60000u
#define BACKOFF_UNREACHED_MS 10000u
#define WINDOW_MIN_MS 1000u /* before the end of a token: a login and a turn of its answer */
#define RENEW_MIN_MS 500u   /* whatever a server says of a token's rest */

void session_init(struct session *s, uint32_t seed)
{
	*s = (struct session){
		.seed = jitter_seed(seed),
		.due_ms = CLOCK_NEVER,
	};
}

void session_deinit(struct session *s)
{
	secret_wipe(&s->password);
	secret_wipe(&s->token);
	s->username[0] = '\0';
	s->due_ms = CLOCK_NEVER;
}

static void become_nobody(struct session *s)
{
	s->username[0] = '\0';
	s->due_ms = CLOCK_NEVER;
	s->hold_ms = 0;
	secret_wipe(&s->password);
	if (secret_given(&s->token))
		s->generation++;
	secret_wipe(&s->token);
}

/* The token of old credentials stays until there is another: nothing is without one meanwhile. */
static void become_user(struct session *s, const char *username, uint64_t now_ms)
{
	memset(s->username, 0, sizeof(s->username));
	memcpy(s->username, username, strlen(username));
	s->due_ms = now_ms;
	s->hold_ms = secret_given(&s->token) ? 0 : now_ms + SESSION_HOLD_MS;
}

int session_set_credentials(struct session *s, const char *username, const struct secret *password,
			    uint64_t now_ms, bool *changed)
{
	size_t n = username ? strlen(username) : 0;
	int r = 0;

	*changed = n > 0 ? strcmp(username, s->username) != 0 ||
				   !secret_equal(password, &s->password)
			 : s->username[0] != '\0';
	if (!*changed)
		return 0;
	if (n > SESSION_USER_MAX)
		return -ENAMETOOLONG;
	if (n > 0)
		r = secret_set(&s->password, secret_text(password), password->n);
	if (r < 0)
		return r;
	s->in_flight = false;
	s->n_failures = 0;
	s->relogin_ms = 0;
	if (n > 0)
		become_user(s, username, now_ms);
	else
		become_nobody(s);
	return 0;
}

bool session_take(struct session *s, uint64_t now_ms)
{
	if (s->in_flight || now_ms < s->due_ms)
		return false;
	s->in_flight = true;
	return true;
}

/* Renewed early by a tenth to a fifteenth of its life (as the Java client does), or by a second. */
static uint64_t renewal_ms(struct session *s, uint32_t ttl_s)
{
	uint64_t ttl_ms = (uint64_t)(ttl_s ? ttl_s : SESSION_TTL_UNKNOWN_S) * 1000;
	uint64_t window_ms = ttl_ms / 15 +
			     jitter_upto(&s->seed, (uint32_t)(ttl_ms / 10 - ttl_ms / 15));

	if (window_ms < WINDOW_MIN_MS)
		window_ms = WINDOW_MIN_MS;
	return ttl_ms > window_ms + RENEW_MIN_MS ? ttl_ms - window_ms : RENEW_MIN_MS;
}

static uint64_t backoff_ms(struct session *s, enum session_end end)
{
	uint32_t most_ms = end == SESSION_REFUSED ? BACKOFF_REFUSED_MS : BACKOFF_UNREACHED_MS;
	uint32_t step_ms = BACKOFF_FIRST_MS;

	for (uint32_t i = 1; i < s->n_failures && step_ms < most_ms; i++)
		step_ms *= 2;
	if (step_ms > most_ms)
		step_ms = most_ms;
	return step_ms / 2 + jitter_upto(&s->seed, step_ms / 2);
}

void session_done(struct session *s, enum session_end end, const char *token, size_t n_token,
		  uint32_t ttl_s, uint64_t now_ms)
{
	if (!s->in_flight)
		return;
	s->in_flight = false;
	if (end == SESSION_GRANTED && (n_token == 0 || secret_set(&s->token, token, n_token) < 0))
		end = SESSION_REFUSED;
	if (end != SESSION_GRANTED) {
		s->n_failures++;
		s->due_ms = now_ms + backoff_ms(s, end);
		return;
	}
	s->generation++;
	s->n_failures = 0;
	s->hold_ms = 0;
	s->settled_ms = now_ms + SESSION_SETTLE_MS;
	s->due_ms = now_ms + renewal_ms(s, ttl_s);
}

bool session_holds(const struct session *s, uint64_t now_ms)
{
	return now_ms < s->hold_ms;
}

bool session_denied(struct session *s, uint64_t now_ms)
{
	if (s->username[0] == '\0')
		return false;
	if (session_holds(s, now_ms))
		return true;
	if (s->n_failures > 0 || now_ms < s->settled_ms)
		return false;
	if (now_ms < s->relogin_ms) {
		if (s->due_ms > s->relogin_ms)
			s->due_ms = s->relogin_ms;
		return false;
	}
	s->relogin_ms = now_ms + SESSION_RELOGIN_MS;
	s->hold_ms = now_ms + SESSION_HOLD_MS;
	s->due_ms = now_ms;
	return true;
}

uint64_t session_hold_due_ms(const struct session *s, uint64_t now_ms)
{
	return session_holds(s, now_ms) ? s->hold_ms : CLOCK_NEVER;
}

uint64_t session_due_ms(const struct session *s, uint64_t now_ms)
{
	uint64_t due_ms = s->in_flight ? CLOCK_NEVER : s->due_ms;
	uint64_t hold_due_ms = session_hold_due_ms(s, now_ms);

	return hold_due_ms < due_ms ? hold_due_ms : due_ms;
}
