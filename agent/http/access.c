/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By what right requests go
 *
 * Three ways, as the configuration says: as a user, whose token stands in the Authorization header
 * (session.c decides when to log in, login_flight.c does it); signed with an access key, by
 * parameters that are made anew for each request; or neither. Both at once is fine: one of them is
 * what the registry looks at.
 *
 * The token is in the header and nowhere else. Servers write the query into their access logs, and
 * so do proxies. The signature is in the query, where its only readers expect it: it is good for
 * one request and tells nothing of the key.
 *
 * Nothing secret goes into the log: not the password, the token or the key, and not a server's text
 * that repeats one of them.
 */
#include "http/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "nacos/encode.h"

static void on_login(void *ctx, const struct login_result *result);

int access_init(struct access *a, const struct access_options *options, struct loop *loop,
		struct http_nodes *nodes)
{
	*a = (struct access){
		.registry = options->registry,
		.api = options->api,
		.link = options->link,
		.nodes = nodes,
		.connect_ms = options->connect_ms,
		.total_ms = options->total_ms,
	};
	session_init(&a->session, (uint32_t)clock_now_ms());
	a->link->token = session_token(&a->session);
	return login_flight_new(&a->flight, loop, nodes, on_login, a);
}

void access_deinit(struct access *a)
{
	a->flight = login_flight_free(a->flight);
	session_deinit(&a->session);
	secret_wipe(&a->secret_key);
	sign_key_wipe(&a->key);
}

/* 0; with nothing configured *out stays empty. */
static int read_secret(const struct registry_secret *from, struct secret *out,
		       char why[SECRET_WHY_MAX])
{
	if (from->file)
		return secret_read(out, SECRET_FILE, from->file, why);
	if (from->credential)
		return secret_read(out, SECRET_CREDENTIAL, from->credential, why);
	if (from->env)
		return secret_read(out, SECRET_ENVIRONMENT, from->env, why);
	return 0;
}

static int read_secrets(const struct registry_login *login, struct secret *password,
			struct secret *secret_key, char why[SECRET_WHY_MAX])
{
	int r = read_secret(&login->password, password, why);

	return r == 0 ? read_secret(&login->secret_key, secret_key, why) : r;
}

int access_check(const struct registry_login *login, char why[SECRET_WHY_MAX])
{
	struct secret password = SECRET_NULL;
	struct secret secret_key = SECRET_NULL;
	int r = read_secrets(login, &password, &secret_key, why);

	secret_wipe(&password);
	secret_wipe(&secret_key);
	return r;
}

static uint64_t epoch_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* *secret_key is taken when it returns 0. */
static int set_key(struct access *a, const struct registry_login *login, struct secret *secret_key)
{
	const char *name = login->access_key ? login->access_key : "";
	const char *region = login->region ? login->region : "";
	struct sign_key key;

	if (strlen(name) > SIGN_NAME_MAX || strlen(region) > SIGN_NAME_MAX)
		return -ENAMETOOLONG;
	if (name[0] && !sign_key_init(&key, secret_text(secret_key), region, epoch_ms())) {
		log_error("registry.secret",
			  "registry=%s error=\"secret_key is empty, or longer than %u bytes\"",
			  a->registry, SIGN_SECRET_MAX);
		return -EINVAL;
	}
	snprintf(a->access_key, sizeof(a->access_key), "%s", name);
	snprintf(a->region, sizeof(a->region), "%s", region);
	secret_move(&a->secret_key, secret_key);
	sign_key_wipe(&a->key);
	if (name[0])
		a->key = key;
	sign_key_wipe(&key);
	return 0;
}

static int set_user(struct access *a, const struct registry_login *login,
		    const struct secret *password, uint64_t now_ms)
{
	bool changed;
	int r = session_set_credentials(&a->session, login->username, password, now_ms, &changed);

	if (r < 0 || !changed)
		return r;
	login_flight_drop(a->flight);
	a->failing = false;
	a->last_error[0] = '\0';
	a->link->generation = session_generation(&a->session);
	return 0;
}

int access_set(struct access *a, const struct registry_login *login, uint64_t now_ms)
{
	struct secret password = SECRET_NULL;
	struct secret secret_key = SECRET_NULL;
	char why[SECRET_WHY_MAX];
	int r = read_secrets(login, &password, &secret_key, why);

	if (r < 0)
		log_error("registry.secret", "registry=%s error=%s", a->registry, LOG_Q(why));
	if (r == 0)
		r = set_key(a, login, &secret_key);
	if (r == 0)
		r = set_user(a, login, &password, now_ms);
	if (r == 0)
		a->link->allow_plaintext = login->allow_plaintext_password;
	secret_wipe(&password);
	secret_wipe(&secret_key);
	return r;
}

void access_status(const struct access *a, struct access_status *out)
{
	*out = (struct access_status){ .last_error = a->last_error, .n_logins = a->n_logins };
	if (!session_logs_in(&a->session))
		out->login = "none";
	else if (a->failing)
		out->login = "failing";
	else
		out->login = secret_given(session_token(&a->session)) ? "granted" : "waiting";
}

bool access_denied(struct access *a, uint64_t now_ms)
{
	return session_denied(&a->session, now_ms);
}

size_t access_params(struct access *a, const struct descriptor *d, char *buf, size_t size)
{
	uint64_t ms = epoch_ms();

	buf[0] = '\0';
	if (!access_signs(a))
		return 0;
	if (sign_key_outdated(&a->key, ms) &&
	    !sign_key_init(&a->key, secret_text(&a->secret_key), a->region, ms))
		return 0;
	return sign_params(&a->key, a->access_key, ms, d->group, d->service, buf, size);
}

static void log_granted(struct access *a, const struct login_result *result)
{
	if (a->session.generation == 0 || a->failing)
		log_info("registry.login", "registry=%s node=%s ttl_s=%u", a->registry,
			 result->node, result->ttl_s);
	else
		log_debug("registry.login", "registry=%s node=%s ttl_s=%u", a->registry,
			  result->node, result->ttl_s);
	a->failing = false;
	a->last_error[0] = '\0';
}

/* As it is, or as the body of a login has it. Without memory to look for that one it is taken to be there. */
static bool tells(const char *text, const char *secret)
{
	size_t n = strlen(secret), size = 3 * n + 1;
	struct encode e;
	char *encoded;
	bool found;

	if (n == 0 || strstr(text, secret))
		return n > 0;
	encoded = malloc(size);
	if (!encoded)
		return true;
	encode_init(&e, ENCODE_FORM, encoded, size);
	encode_text(&e, secret);
	found = encode_end(&e) == 0 || strcasestr(text, encoded); /* %2B or %2b */
	explicit_bzero(encoded, size);
	free(encoded);
	return found;
}

/* A text that repeats a secret is left out. */
static void log_failed(struct access *a, const struct login_result *result, uint64_t now_ms)
{
	const char *password = secret_text(&a->session.password);
	const char *why = result->why;

	if (tells(why, password))
		why = "a text that tells a secret";
	a->failing = true;
	snprintf(a->last_error, sizeof(a->last_error), "%.127s", why);
	log_warning("registry.login_failed", "registry=%s node=%s code=%d error=%s retry_ms=%llu",
		    a->registry, result->node, result->code, LOG_Q(why),
		    (unsigned long long)(session_retry_ms(&a->session) - now_ms));
}

static void on_login(void *ctx, const struct login_result *result)
{
	struct access *a = ctx;
	uint64_t now_ms = clock_now_ms();

	if (result->end == SESSION_GRANTED)
		log_granted(a, result);
	session_done(&a->session, result->end, result->token, result->n_token, result->ttl_s,
		     now_ms);
	if (result->end != SESSION_GRANTED)
		log_failed(a, result, now_ms);
	a->link->generation = session_generation(&a->session);
}

static void begin(struct access *a)
{
	const struct login_request request = {
		.api = a->api,
		.username = a->session.username,
		.password = &a->session.password,
		.connect_ms = a->connect_ms,
		.total_ms = a->total_ms,
	};
	struct login_result failed = { .end = SESSION_REFUSED, .node = "none" };
	int r;

	a->n_logins++;
	r = login_flight_begin(a->flight, &request);
	if (r == 0)
		return;
	failed.why = r == -ENOBUFS ? "user and password are too long for a login" : "out of memory";
	on_login(a, &failed);
}

/* Until an endpoint has told of servers there is nobody to ask, and that is no failure. */
static bool can_ask(const struct access *a)
{
	return a->nodes->n_in > 0;
}

void access_tick(struct access *a, uint64_t now_ms)
{
	login_flight_tick(a->flight, now_ms);
	if (can_ask(a) && session_take(&a->session, now_ms))
		begin(a);
}

uint64_t access_due_ms(const struct access *a, uint64_t now_ms)
{
	uint64_t session_ms = can_ask(a) ? session_due_ms(&a->session, now_ms)
					 : session_hold_due_ms(&a->session, now_ms);
	uint64_t flight_ms = login_flight_due_ms(a->flight);

	return session_ms < flight_ms ? session_ms : flight_ms;
}
