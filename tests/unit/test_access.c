/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in over the wire, and what requests carry then
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/access.h"
#include "lib/http_steps.h"
#include "lib/httprig.h"
#include "lib/memory_search.h"

#define GRANT(token)                                                                   \
	"HTTP/1.1 200 \r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" \
	"{\"accessToken\":\"" token "\",\"tokenTtl\":18000,\"globalAdmin\":false,"     \
	"\"username\":\"nacos\"}"
#define REFUSE(status, text) \
	"HTTP/1.1 " status "\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" text
#define ANSWER(reply)                                                                      \
	{                                                                                  \
		{ .act = BYTESERVER_EXPECT }, { .act = BYTESERVER_SEND, .text = (reply) }, \
			{ .act = BYTESERVER_CLOSE },                                       \
		{                                                                          \
			.act = BYTESERVER_END                                              \
		}                                                                          \
	}

static const struct byteserver_step grant_one[] = ANSWER(GRANT("token-1"));
static const struct byteserver_step no_api[] = ANSWER(REFUSE("404 ", "{\"status\":404}"));
static const struct byteserver_step forbidden[] = ANSWER(REFUSE("403 ", "unknown user!"));
static const struct byteserver_step tell_body[] = ANSWER(
	REFUSE("403 ", "no: username=nacos&password=Ge7%2bge%2Bheim"));
static const struct byteserver_step tell_tale[] = ANSWER(REFUSE("403 ", "no, Ge7-heim is wrong"));

static struct httprig rig;
static struct https_link link_;
static struct access access_;
static struct nacos_api api;
static char log_path[] = "/tmp/onebeat-access-XXXXXX";

static void set_up(uint32_t n_servers)
{
	const struct access_options options = { .registry = "default",
						.api = &api,
						.link = &link_,
						.connect_ms = 10000,
						.total_ms = 15000 };

	api = (struct nacos_api){ .version = NACOS_V1, .context = "/nacos" };
	link_ = (struct https_link){ .allow_plaintext = false };
	httprig_init(&rig, n_servers);
	rig.nodes.link = &link_;
	cr_assert_eq(access_init(&access_, &options, &rig.loop, &rig.nodes), 0);
}

static void tear_down(void)
{
	access_deinit(&access_);
	httprig_deinit(&rig);
}

static void set_password(const char *half, const char *other_half)
{
	static const struct registry_login login = {
		.username = "nacos",
		.password = { .env = "ONEBEAT_TEST_PASSWORD" },
	};
	char text[64];
	char *value;

	snprintf(text, sizeof(text), "%s%s", half, other_half);
	cr_assert_eq(setenv("ONEBEAT_TEST_PASSWORD", text, 1), 0);
	explicit_bzero(text, sizeof(text));
	cr_assert_eq(access_set(&access_, &login, clock_now_ms()), 0);
	/* The environment's own copy, which is not ours to keep. */
	value = getenv("ONEBEAT_TEST_PASSWORD");
	explicit_bzero(value, strlen(value));
	unsetenv("ONEBEAT_TEST_PASSWORD");
}

/* Turns the loop until the login under way has come to an end. */
static void log_in(void)
{
	uint64_t limit_ms = clock_now_ms() + LIMIT_MS;

	do {
		uint64_t now_ms = clock_now_ms();

		access_tick(&access_, now_ms);
		cr_assert_lt(now_ms, limit_ms);
		if (access_.session.in_flight)
			loop_turn(&rig.loop,
				  clock_wait_ms(now_ms, access_due_ms(&access_, now_ms)));
	} while (access_.session.in_flight);
}

static struct byteserver_request request_at(uint32_t server, uint32_t i)
{
	struct byteserver_request request;

	cr_assert(byteserver_request(rig.servers[server], i, &request));
	return request;
}

/* Name and password go into the body; the token is there for requests then. */
Test(access, login_grants_a_token)
{
	struct byteserver_request request;

	set_up(1);
	httprig_start(&rig, 0, grant_one);
	set_password("Ge7", "-heim");
	cr_expect(access_holds(&access_, clock_now_ms()));
	log_in();
	cr_expect_not(access_holds(&access_, clock_now_ms()));
	cr_expect_str_eq(https_token(&link_, byteserver_url(rig.servers[0])), "token-1");
	request = request_at(0, 0);
	cr_expect_str_eq(request.method, "POST");
	cr_expect_str_eq(request.target, "/nacos/v1/auth/users/login");
	cr_expect_not(strstr(request.head, "nacos&") || strstr(request.head, "heim"));
	cr_expect(strstr(request.head, "application/x-www-form-urlencoded"));
	cr_expect_not(strstr(request.head, "Expect"));
	tear_down();
}

/* As before an endpoint's first answer. The login is not tried, fails not, and begins as soon as there is a server. */
Test(access, login_waits_for_a_server)
{
	uint64_t now_ms;

	set_up(1);
	httprig_start(&rig, 0, grant_one);
	http_nodes_put(&rig.nodes, 0, false);
	set_password("Ge7", "-heim");
	now_ms = clock_now_ms();
	access_tick(&access_, now_ms);
	cr_expect_eq(access_.n_logins, 0);
	cr_expect_str_empty(access_.last_error);
	cr_expect_gt(access_due_ms(&access_, now_ms), now_ms, "due again and again");
	http_nodes_put(&rig.nodes, 0, true);
	cr_expect_leq(access_due_ms(&access_, clock_now_ms()), clock_now_ms());
	log_in();
	cr_expect_eq(access_.n_logins, 1);
	cr_expect(secret_given(session_token(&access_.session)));
	tear_down();
}

/* A server of the other API says that it has no such path. */
Test(access, login_tries_the_other_path)
{
	static const struct byteserver_step *const scripts[] = { no_api, grant_one };

	set_up(1);
	cr_assert(byteserver_start(rig.servers[0], scripts, 2));
	set_password("Ge7", "-heim");
	log_in();
	cr_expect_str_eq(request_at(0, 0).target, "/nacos/v1/auth/users/login");
	cr_expect_str_eq(request_at(0, 1).target, "/nacos/v3/auth/user/login");
	cr_expect(secret_given(session_token(&access_.session)));
	tear_down();
}

/* Each node once; then it is to wait. */
Test(access, login_that_all_refuse)
{
	set_up(3);
	for (uint32_t i = 0; i < 2; i++)
		httprig_start(&rig, i, forbidden);
	set_password("Ge7", "-heim");
	log_in();
	cr_expect_eq(byteserver_n_requests(rig.servers[0]), 1);
	cr_expect_eq(byteserver_n_requests(rig.servers[1]), 1);
	cr_expect_not(secret_given(session_token(&access_.session)));
	cr_expect_gt(session_retry_ms(&access_.session), clock_now_ms());
	tear_down();
}

/* One node knows us, whichever is asked first. */
Test(access, login_goes_on_to_the_node_that_grants)
{
	set_up(2);
	httprig_start(&rig, 0, forbidden);
	httprig_start(&rig, 1, grant_one);
	set_password("Ge7", "-heim");
	log_in();
	cr_expect(secret_given(session_token(&access_.session)));
	tear_down();
}

/* The password is not told in clear to another host without leave. */
Test(access, login_passes_over_nodes_in_clear)
{
	static const char *const urls[] = { "http://192.0.2.1:8848" };

	set_up(1);
	http_nodes_deinit(&rig.nodes);
	cr_assert_eq(http_nodes_init(&rig.nodes, urls, 1, 1), 0);
	rig.nodes.link = &link_;
	set_password("Ge7", "-heim");
	access_tick(&access_, clock_now_ms());
	cr_expect_not(access_.session.in_flight);
	cr_expect_eq(access_.session.n_failures, 1);
	tear_down();
}

static char *log_of(void (*what)(void))
{
	static char text[65536];
	int saved = dup(STDERR_FILENO);
	int fd = mkstemp(log_path);
	ssize_t n;

	cr_assert(saved >= 0 && fd >= 0);
	cr_assert(dup2(fd, STDERR_FILENO) >= 0);
	what();
	cr_assert(dup2(saved, STDERR_FILENO) >= 0);
	n = pread(fd, text, sizeof(text) - 1, 0);
	cr_assert(n >= 0);
	text[n] = '\0';
	close(fd);
	close(saved);
	unlink(log_path);
	return text;
}

static void refused_by_a_tell_tale(void)
{
	set_up(1);
	log_set_level(LOG_LEVEL_INFO);
	httprig_start(&rig, 0, tell_tale);
	set_password("Ge7", "-heim");
	log_in();
	tear_down();
}

/* Not even in a server's own words. */
Test(access, log_is_free_of_the_password)
{
	const char *text = log_of(refused_by_a_tell_tale);

	cr_expect(strstr(text, "registry.login_failed"), "%s", text);
	cr_expect(strstr(text, "code=403"), "%s", text);
	cr_expect_not(strstr(text, "heim"), "%s", text);
}

static void refused_with_the_body(void)
{
	set_up(1);
	log_set_level(LOG_LEVEL_INFO);
	httprig_start(&rig, 0, tell_body);
	set_password("Ge7+ge", "+heim");
	log_in();
	tear_down();
}

/* Nor as the login had it, whatever the server writes hexadecimal digits in. */
Test(access, log_is_free_of_the_login_s_body)
{
	const char *text = log_of(refused_with_the_body);

	cr_expect(strstr(text, "registry.login_failed"), "%s", text);
	cr_expect_not(strstr(text, "heim"), "%s", text);
}

/* A server in a process of its own: what it was told is not in our memory. Its URL. */
static const char *serve_elsewhere(pid_t *pid)
{
	static char url[64];
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n_at = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &n_at), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", (unsigned int)ntohs(at.sin_port));
	*pid = fork();
	cr_assert(*pid >= 0);
	if (*pid == 0) {
		static const char reply[] = GRANT("token-1");
		char request[4096];
		int peer = accept(fd, NULL, NULL);
		ssize_t n = read(peer, request, sizeof(request));

		n = n > 0 ? write(peer, reply, sizeof(reply) - 1) : n;
		_exit(n > 0 ? 0 : 1);
	}
	close(fd);
	return url;
}

/* What libcurl and the flight had of it is gone with the login; ours stays until it is replaced. */
Test(access, password_is_gone_from_memory, .timeout = 60)
{
	pid_t pid;
	const char *const url = serve_elsewhere(&pid);
	int status;

	set_up(1);
	http_nodes_deinit(&rig.nodes);
	cr_assert_eq(http_nodes_init(&rig.nodes, &url, 1, 1), 0);
	rig.nodes.link = &link_;
	set_password("Xw5-quiet", "-Password");
	log_in();
	cr_assert(secret_given(session_token(&access_.session)));
	cr_expect_eq(memory_search("Xw5-quiet", "-Password"), 1);
	set_password("an", "other");
	cr_expect_eq(memory_search("Xw5-quiet", "-Password"), 0);
	tear_down();
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
}

/* A secret that cannot be had changes nothing. */
Test(access, unreadable_secret_changes_nothing)
{
	static const struct registry_login login = { .username = "nacos",
						     .password = { .file = "/nonexistent/file" } };

	set_up(1);
	httprig_start(&rig, 0, grant_one);
	set_password("Ge7", "-heim");
	log_in();
	cr_expect_eq(access_set(&access_, &login, clock_now_ms()), -ENOENT);
	cr_expect_str_eq(secret_text(session_token(&access_.session)), "token-1");
	cr_expect_str_eq(secret_text(&access_.session.password), "Ge7-heim");
	tear_down();
}

/* Beats and other requests carry the token of the moment. */
Test(access, requests_carry_the_token)
{
	static const char line[] = "PUT /nacos/v1/ns/instance/beat?a=b HTTP/1.1\r\n";
	struct secret token = SECRET_NULL;

	httprig_init(&rig, 1);
	link_ = (struct https_link){ .token = &token };
	rig.nodes.link = &link_;
	httprig_add_beats(&rig, 1);
	httprig_add_requests(&rig, 1);
	httprig_start(&rig, 0, httprig_ok);
	for (uint32_t i = 1; i <= 3; i++) {
		static const char *const tokens[] = { "", "first", "second", "" };
		struct byteserver_request request;
		char want[64];

		if (tokens[i][0])
			cr_assert_eq(secret_set(&token, tokens[i], strlen(tokens[i])), 0);
		else
			secret_wipe(&token);
		link_.generation = i;
		cr_assert_eq(beat_lane_submit(rig.beats, line, sizeof(line) - 1, &rig, i), 0);
		beat_lane_flush(rig.beats, clock_now_ms());
		cr_assert(httprig_run(&rig, 2 * i - 1, LIMIT_MS));
		cr_assert_eq(request_lane_submit(rig.requests, HTTP_POST, "/nacos?x=y", 0, &rig, i),
			     0);
		cr_assert(httprig_run(&rig, 2 * i, LIMIT_MS));
		snprintf(want, sizeof(want), "Authorization: Bearer %s\r\n", tokens[i]);
		for (uint32_t k = 2 * i - 2; k < 2 * i; k++) {
			request = request_at(0, k);
			cr_expect_eq(strstr(request.head, want) != NULL, tokens[i][0] != '\0');
			cr_expect_eq(strstr(request.head, "Authorization") != NULL,
				     tokens[i][0] != '\0');
		}
	}
	httprig_deinit(&rig);
	secret_wipe(&token);
}

/* The signature is of this moment and this service. */
Test(access, requests_are_signed)
{
	static const struct registry_login login = {
		.access_key = "ak0",
		.secret_key = { .env = "ONEBEAT_TEST_KEY" },
	};
	const struct descriptor d = { .group = "DEFAULT_GROUP", .service = "orders" };
	char params[ACCESS_PARAMS_MAX];
	size_t n;

	set_up(1);
	cr_expect_eq(access_params(&access_, &d, params, sizeof(params)), 0);
	setenv("ONEBEAT_TEST_KEY", "secretKey0", 1);
	cr_assert_eq(access_set(&access_, &login, clock_now_ms()), 0);
	unsetenv("ONEBEAT_TEST_KEY");
	n = access_params(&access_, &d, params, sizeof(params));
	cr_expect_eq(n, strlen(params));
	cr_expect_eq(params[0], '&', "%s", params);
	cr_expect(strstr(params, "&ak=ak0"), "%s", params);
	cr_expect(strstr(params, "DEFAULT_GROUP%40%40orders"), "%s", params);
	cr_expect(strstr(params, "signature="), "%s", params);
	cr_expect_not(strstr(params, "secretKey0"));
	tear_down();
}
