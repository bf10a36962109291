/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "http/session.h"

#define NOW_MS UINT64_C(1000000)

static struct session session;
static uint64_t now_ms;

static void set(const char *username, const char *password)
{
	struct secret secret = SECRET_NULL;
	bool changed;

	cr_assert_eq(secret_set(&secret, password, strlen(password)), 0);
	cr_assert_eq(session_set_credentials(&session, username, &secret, now_ms, &changed), 0);
	secret_wipe(&secret);
}

static void begin(void)
{
	now_ms = NOW_MS;
	session_init(&session, 7);
}

static void end(void)
{
	session_deinit(&session);
}

static void grant(const char *token, uint32_t ttl_s)
{
	session_done(&session, SESSION_GRANTED, token, strlen(token), ttl_s, now_ms);
}

static void log_in(const char *token, uint32_t ttl_s)
{
	set("nacos", "geheim");
	cr_assert(session_take(&session, now_ms));
	grant(token, ttl_s);
}

TestSuite(session, .init = begin, .fini = end);

/* A registry without credentials is asked as it always was. */
Test(session, without_credentials_nothing_waits)
{
	cr_expect_not(session_holds(&session, now_ms));
	cr_expect_not(session_take(&session, now_ms));
	cr_expect_not(session_denied(&session, now_ms));
	cr_expect_eq(session_due_ms(&session, now_ms), CLOCK_NEVER);
	cr_expect_not(secret_given(session_token(&session)));
}

/* One login for all, and requests wait for it. */
Test(session, first_login_is_single_and_requests_wait)
{
	set("nacos", "geheim");
	cr_expect_eq(session_due_ms(&session, now_ms), now_ms);
	cr_expect(session_holds(&session, now_ms));
	cr_assert(session_take(&session, now_ms));
	for (int i = 0; i < 1000; i++) {
		cr_expect(session_denied(&session, now_ms));
		cr_assert_not(session_take(&session, now_ms));
	}
	grant("token1", 18000);
	cr_expect_not(session_holds(&session, now_ms));
	cr_expect_str_eq(secret_text(session_token(&session)), "token1");
	cr_expect_eq(session_generation(&session), 1);
}

/* A registry that does not let us in must not keep requests for ever. */
Test(session, waiting_is_bounded)
{
	set("nacos", "geheim");
	cr_assert(session_take(&session, now_ms));
	cr_expect_eq(session_due_ms(&session, now_ms), now_ms + SESSION_HOLD_MS);
	now_ms += SESSION_HOLD_MS - 1;
	cr_expect(session_holds(&session, now_ms));
	now_ms++;
	cr_expect_not(session_holds(&session, now_ms));
	cr_expect_eq(session_due_ms(&session, now_ms), CLOCK_NEVER);
}

/* Early, at a time of its own; the token serves until the next one is there. */
Test(session, is_renewed_before_the_end)
{
	uint64_t first = 0;
	bool differs = false;

	for (uint32_t seed = 1; seed <= 20; seed++) {
		uint64_t due_ms;

		session_deinit(&session);
		session_init(&session, seed);
		log_in("token1", 18000);
		due_ms = session_due_ms(&session, now_ms);
		cr_expect_geq(due_ms, now_ms + 18000000 - 1800000);
		cr_expect_leq(due_ms, now_ms + 18000000 - 1200000);
		differs = differs || (first && due_ms != first);
		first = due_ms;
	}
	cr_expect(differs);
	now_ms = session_due_ms(&session, now_ms);
	cr_assert(session_take(&session, now_ms));
	cr_expect_not(session_holds(&session, now_ms));
	cr_expect_str_eq(secret_text(session_token(&session)), "token1");
	grant("token2", 18000);
	cr_expect_str_eq(secret_text(session_token(&session)), "token2");
	cr_expect_eq(session_generation(&session), 2);
}

/* What a server says of a token's life must make no storm, from "none" to "for ever". */
Test(session, odd_times_to_live)
{
	static const uint32_t ttls[] = { 0, 1, 2, 3, 5, 60, UINT32_MAX };

	for (size_t i = 0; i < sizeof(ttls) / sizeof(ttls[0]); i++) {
		session_deinit(&session);
		session_init(&session, 3);
		log_in("token1", ttls[i]);
		cr_expect_geq(session_due_ms(&session, now_ms), now_ms + 500, "%u", ttls[i]);
		cr_expect_leq(session_due_ms(&session, now_ms),
			      now_ms + (ttls[i] ? ttls[i] * UINT64_C(1000)
						: SESSION_TTL_UNKNOWN_S * 1000u),
			      "%u", ttls[i]);
	}
}

/* Refused for ever: an hour has few logins, and not all hosts have them at the same time. */
Test(session, wrong_password_makes_no_storm)
{
	uint64_t end_ms = now_ms + 3600000;
	unsigned int n = 0;

	set("nacos", "wrong");
	while (now_ms < end_ms) {
		session_denied(&session, now_ms);
		if (session_take(&session, now_ms)) {
			n++;
			session_done(&session, SESSION_REFUSED, NULL, 0, 0, now_ms);
		}
		now_ms += 100;
	}
	cr_expect_leq(n, 125, "%u", n);
	cr_expect_geq(n, 60, "%u", n);
	cr_expect_not(secret_given(session_token(&session)));
}

/* Servers that come back are asked within seconds: instances live for 15. */
Test(session, unreached_servers_are_asked_again_soon)
{
	uint64_t longest_ms = 0;

	set("nacos", "geheim");
	for (int i = 0; i < 100; i++) {
		uint64_t due_ms;

		cr_assert(session_take(&session, now_ms));
		session_done(&session, SESSION_UNREACHED, NULL, 0, 0, now_ms);
		due_ms = now_ms + SESSION_HOLD_MS; /* not to see the end of the waiting */
		due_ms = session_due_ms(&session, due_ms);
		cr_expect_geq(due_ms, now_ms + 500);
		longest_ms = due_ms - now_ms > longest_ms ? due_ms - now_ms : longest_ms;
		now_ms = due_ms;
	}
	cr_expect_leq(longest_ms, 10000);
	cr_expect_geq(longest_ms, 5000);
}

/* The server's key has changed: log in at once, and ask again with the new token. */
Test(session, refused_request_causes_one_login)
{
	log_in("token1", 18000);
	now_ms += 10000;
	cr_expect(session_denied(&session, now_ms));
	cr_expect(session_holds(&session, now_ms));
	cr_assert(session_take(&session, now_ms));
	cr_expect(session_denied(&session, now_ms));
	grant("token2", 18000);
	cr_expect_not(session_holds(&session, now_ms));
	/* The answers to what was sent with the old one. */
	cr_expect_not(session_denied(&session, now_ms + SESSION_SETTLE_MS - 1));
	cr_expect_not(session_take(&session, now_ms + 70000));
}

/* A right that is missing is no reason for more than a login a minute. */
Test(session, refused_requests_cause_a_login_a_minute)
{
	uint64_t end_ms = now_ms + 3600000;
	unsigned int n = 0;

	log_in("token1", 18000);
	while (now_ms < end_ms) {
		now_ms += 100;
		session_denied(&session, now_ms);
		if (session_take(&session, now_ms)) {
			n++;
			grant("token", 18000);
		}
	}
	cr_expect_leq(n, 60, "%u", n);
	cr_expect_geq(n, 50, "%u", n);
}

/* Refused again within the minute: not forgotten. */
Test(session, login_follows_when_the_minute_is_over)
{
	log_in("token1", 18000);
	now_ms += 10000;
	cr_assert(session_denied(&session, now_ms));
	cr_assert(session_take(&session, now_ms));
	grant("token2", 18000);
	cr_expect_not(session_denied(&session, now_ms + 20000));
	cr_expect_not(session_holds(&session, now_ms + 20000));
	cr_expect_eq(session_due_ms(&session, now_ms + 20000), now_ms + SESSION_RELOGIN_MS);
}

/* Back-off has the last word: beats that are refused for want of a token do not shorten it. */
Test(session, refused_requests_do_not_hurry_failing_logins)
{
	uint64_t due_ms;

	set("nacos", "wrong");
	for (int i = 0; i < 10; i++) {
		now_ms = session_due_ms(&session, now_ms + SESSION_HOLD_MS);
		cr_assert(session_take(&session, now_ms));
		session_done(&session, SESSION_REFUSED, NULL, 0, 0, now_ms);
	}
	due_ms = session_due_ms(&session, now_ms);
	cr_expect_geq(due_ms, now_ms + 30000);
	cr_expect_not(session_denied(&session, now_ms + 1));
	cr_expect_eq(session_due_ms(&session, now_ms + 1), due_ms);
}

/* New credentials are tried at once, with the old token until they have brought one. */
Test(session, new_credentials)
{
	struct secret password = SECRET_NULL;
	bool changed;

	log_in("token1", 18000);
	now_ms += 10;
	cr_assert_eq(secret_set(&password, "geheim", 6), 0);
	cr_assert_eq(session_set_credentials(&session, "nacos", &password, now_ms, &changed), 0);
	cr_expect_not(changed);
	cr_expect_not(session_take(&session, now_ms));
	cr_assert_eq(secret_set(&password, "other", 5), 0);
	cr_assert_eq(session_set_credentials(&session, "nacos", &password, now_ms, &changed), 0);
	cr_expect(changed);
	cr_expect_not(session_holds(&session, now_ms));
	cr_expect_str_eq(secret_text(session_token(&session)), "token1");
	cr_expect(session_take(&session, now_ms));
	/* Again, while that login is under way: its end counts no more. */
	cr_assert_eq(secret_set(&password, "third", 5), 0);
	cr_assert_eq(session_set_credentials(&session, "nacos", &password, now_ms, &changed), 0);
	grant("of the other", 18000);
	cr_expect_str_eq(secret_text(session_token(&session)), "token1");
	cr_expect(session_take(&session, now_ms));
	grant("token3", 18000);
	cr_expect_str_eq(secret_text(session_token(&session)), "token3");
	cr_assert_eq(session_set_credentials(&session, NULL, &password, now_ms, &changed), 0);
	cr_expect(changed);
	cr_expect_not(secret_given(session_token(&session)));
	cr_expect_eq(session_due_ms(&session, now_ms), CLOCK_NEVER);
	secret_wipe(&password);
}

/* Nothing half done. */
Test(session, name_that_is_too_long_changes_nothing)
{
	static char name[SESSION_USER_MAX + 2];
	struct secret password = SECRET_NULL;
	bool changed;

	log_in("token1", 18000);
	memset(name, 'x', sizeof(name) - 1);
	cr_assert_eq(secret_set(&password, "other", 5), 0);
	cr_expect_eq(session_set_credentials(&session, name, &password, now_ms, &changed),
		     -ENAMETOOLONG);
	cr_expect_not(session_take(&session, now_ms));
	cr_assert_eq(session_set_credentials(&session, "nacos", &password, now_ms, &changed), 0);
	cr_expect(changed);
	secret_wipe(&password);
}

/* A reply that grants nothing is a refusal. */
Test(session, empty_token_is_none)
{
	set("nacos", "geheim");
	cr_assert(session_take(&session, now_ms));
	grant("", 18000);
	cr_expect_not(secret_given(session_token(&session)));
	cr_expect(session_holds(&session, now_ms));
	cr_expect_leq(session_due_ms(&session, now_ms), now_ms + 1000);
}
