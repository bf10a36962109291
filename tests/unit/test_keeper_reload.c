/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's side of a reload, with agents that tests play: the next agent has the new settings; one that is never
 * ready gives way to one that has the old ones; SIGHUP is passed on.
 */
#include <criterion/criterion.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/keeperhouse.h"

#define WAIT_MS 500u
#define CAN (CHANNEL_CAN_YIELD | CHANNEL_CAN_REREAD)

TestSuite(keeper_reload, .init = house_make, .fini = house_clear, .timeout = 60);

/* A keeper and its first agent, which is ready and has its settings held. */
static void begin(struct standin *a, uint64_t can)
{
	house.upgrade_wait_ms = WAIT_MS;
	house_start_keeper();
	house_next_agent(a);
	house_hold(a, CHANNEL_SETTINGS, 0, house.director);
	standin_say(a, CHANNEL_READY, CHANNEL_NONE, can, -1);
	house_await_out("ready");
}

/* Asks as the agent does; our end of who waits. */
static int ask(const struct standin *a)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	standin_say(a, CHANNEL_RELOAD, CHANNEL_NONE, 0, pair[1]);
	close(pair[1]);
	return pair[0];
}

static void await_answer(int fd, const char *wanted)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[1024] = "";
	size_t n = 0;
	ssize_t got;

	do {
		cr_assert_eq(poll(&p, 1, HOUSE_WAIT_MS), 1, "no answer");
		got = read(fd, text + n, sizeof(text) - 1 - n);
		cr_assert(got >= 0);
		n += (size_t)got;
		text[n] = '\0';
	} while (got > 0);
	close(fd);
	cr_assert(strstr(text, wanted), "no \"%s\" in: %s", wanted, text);
	cr_assert(strstr(text, "{\"end\":true,\"error\":"), "%s", text);
}

static void make_way(struct standin *a)
{
	cr_assert_eq(standin_hear(a, HOUSE_WAIT_MS).type, CHANNEL_YIELD);
	standin_order(a, STANDIN_EXIT, 0);
}

Test(keeper_reload, gives_the_next_agent_the_new_settings)
{
	struct standin a, b, c;
	int tool;

	begin(&a, CAN);
	house_hold(&a, CHANNEL_LEASE, 7, house.director);
	house_hold(&a, CHANNEL_SETTINGS, 1, house.director);
	tool = ask(&a);
	make_way(&a);
	house_next_agent(&b);
	cr_assert_geq(standin_fd(&b, CHANNEL_LEASE, 7), 0);
	cr_assert_geq(standin_fd(&b, CHANNEL_SETTINGS, 1), 0);
	standin_say(&b, CHANNEL_READY, CHANNEL_NONE, CAN, -1);
	await_answer(tool, "\"reloaded\":true");
	/* They are the ones in force now. */
	house_kill_agent(&b);
	house_next_agent(&c);
	cr_assert_geq(standin_fd(&c, CHANNEL_SETTINGS, 0), 0);
	cr_assert_eq(standin_fd(&c, CHANNEL_SETTINGS, 1), -1);
}

Test(keeper_reload, goes_back_from_an_agent_that_dies)
{
	struct standin a, b, c;
	int tool;

	begin(&a, CAN);
	house_hold(&a, CHANNEL_SETTINGS, 1, house.director);
	tool = ask(&a);
	make_way(&a);
	house_next_agent(&b);
	house_kill_agent(&b);
	await_answer(tool, "no agent became ready with the new settings");
	house_next_agent(&c);
	cr_assert_geq(standin_fd(&c, CHANNEL_SETTINGS, 0), 0);
	cr_assert_eq(standin_fd(&c, CHANNEL_SETTINGS, 1), -1);
}

Test(keeper_reload, goes_back_from_an_agent_that_is_never_ready)
{
	struct standin a, b, c;
	int tool;

	begin(&a, CAN);
	house_hold(&a, CHANNEL_SETTINGS, 1, house.director);
	tool = ask(&a);
	cr_assert_eq(standin_hear(&a, HOUSE_WAIT_MS).type, CHANNEL_YIELD);
	house_next_agent(&b); /* a did not make way, and was killed */
	await_answer(tool, "no agent became ready with the new settings");
	house_next_agent(&c);
	cr_assert_eq(standin_fd(&c, CHANNEL_SETTINGS, 1), -1);
}

/* Without settings to bring there is nothing to change agents for. */
Test(keeper_reload, wants_the_settings_first)
{
	struct standin a;

	begin(&a, CAN);
	await_answer(ask(&a), "could not hold the new settings");
	house_hold(&a, CHANNEL_LEASE, 1, house.director); /* the agent is the one that it was */
}

Test(keeper_reload, is_one_at_a_time)
{
	struct standin a, b;
	int first, second;

	begin(&a, CAN);
	house_hold(&a, CHANNEL_SETTINGS, 1, house.director);
	first = ask(&a);
	cr_assert_eq(standin_hear(&a, HOUSE_WAIT_MS).type, CHANNEL_YIELD);
	second = ask(&a);
	await_answer(second, "under way already");
	standin_order(&a, STANDIN_EXIT, 0);
	house_next_agent(&b);
	standin_say(&b, CHANNEL_READY, CHANNEL_NONE, CAN, -1);
	await_answer(first, "\"reloaded\":true");
}

Test(keeper_reload, passes_sighup_on)
{
	struct standin a;

	begin(&a, CAN);
	cr_assert_eq(kill(house.keeper, SIGHUP), 0);
	cr_assert_eq(standin_hear(&a, HOUSE_WAIT_MS).type, CHANNEL_REREAD);
}

/* It would read over the message: who sent the signal finds it in the log. */
Test(keeper_reload, says_that_an_earlier_release_cannot)
{
	struct standin a;

	begin(&a, CHANNEL_CAN_YIELD);
	cr_assert_eq(kill(house.keeper, SIGHUP), 0);
	house_await_log("the agent's version cannot reload");
}

Test(keeper_reload, a_stop_comes_first)
{
	struct standin a;
	int tool;

	begin(&a, CAN);
	house_hold(&a, CHANNEL_SETTINGS, 1, house.director);
	tool = ask(&a);
	cr_assert_eq(standin_hear(&a, HOUSE_WAIT_MS).type, CHANNEL_YIELD);
	cr_assert_eq(kill(house.keeper, SIGTERM), 0);
	await_answer(tool, "told to stop or leave meanwhile");
	standin_order(&a, STANDIN_EXIT, 0);
	cr_assert_eq(house_await_keeper(), 0);
}
