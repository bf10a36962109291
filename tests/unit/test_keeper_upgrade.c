/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's side of an upgrade that comes to nothing, with agents that tests play: whoever hangs or dies, an
 * agent of the old program works in the end, and who waits is told why.
 */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/keeperhouse.h"

#define STANDIN ONEBEAT_BIN_DIR "/tests/standin_child"
#define WAIT_MS 500u
#define OLD_AGENT UINT64_C(0)

TestSuite(keeper_upgrade, .init = house_make, .fini = house_clear, .timeout = 60);

static char script[128];

/* The installed program: a shell script, written anew under its name. */
static void install(const char *check, const char *agent)
{
	char fresh[160];
	FILE *f;

	snprintf(script, sizeof(script), "%s/installed", house.dir);
	snprintf(fresh, sizeof(fresh), "%s.new", script);
	f = fopen(fresh, "w");
	cr_assert(f);
	fprintf(f,
		"#!/bin/sh\ncase $1 in\n--upgrade-check=*) %s ;;\n--agent-manifest=*) %s ;;\nesac\n",
		check, agent);
	fclose(f);
	cr_assert_eq(chmod(fresh, 0755), 0);
	cr_assert_eq(rename(fresh, script), 0);
}

/* A keeper whose installed program is the stand-in, and its first agent, which is ready. */
static void begin(struct standin *a, uint64_t can)
{
	install("exit 1", "exec " STANDIN " \"$@\"");
	house.program = script;
	house.own_image = STANDIN;
	house.upgrade_wait_ms = WAIT_MS;
	house_start_keeper();
	house_next_agent(a);
	standin_say(a, CHANNEL_READY, CHANNEL_NONE, can, -1);
	house_await_out("ready");
}

/* Asks for an upgrade as the agent does; our end of who waits. */
static int ask(const struct standin *a)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	standin_say(a, CHANNEL_UPGRADE, CHANNEL_NONE, 0, pair[1]);
	close(pair[1]);
	return pair[0];
}

/* The answer, which ends the connection. */
static void await_answer(int fd, const char *wanted)
{
	char text[1024] = "";
	size_t n = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		ssize_t got;

		cr_assert_eq(poll(&p, 1, HOUSE_WAIT_MS), 1, "no answer");
		got = read(fd, text + n, sizeof(text) - 1 - n);
		cr_assert(got >= 0);
		if (got == 0)
			break;
		n += (size_t)got;
		text[n] = '\0';
	}
	close(fd);
	cr_assert(strstr(text, wanted), "no \"%s\" in: %s", wanted, text);
	cr_assert(strstr(text, "{\"end\":true,\"error\":\""), "%s", text);
}

static void expect_yield(const struct standin *a)
{
	cr_assert_eq(standin_hear(a, HOUSE_WAIT_MS).type, CHANNEL_YIELD);
}

Test(keeper_upgrade, does_not_wait_for_a_program_that_does_not_answer)
{
	struct standin a;
	int tool;

	begin(&a, CHANNEL_CAN_YIELD);
	install("exec sleep 100", "exit 1");
	tool = ask(&a);
	await_answer(tool, "it did not answer in time");
	house_hold(&a, CHANNEL_LEASE, 1, house.director); /* the agent is the one that it was */
}

Test(keeper_upgrade, kills_an_agent_that_does_not_make_way)
{
	struct standin a, b;
	int tool;

	begin(&a, CHANNEL_CAN_YIELD);
	house_hold(&a, CHANNEL_LEASE, 7, house.director);
	install("echo onebeatd 9.9", "exit 1");
	tool = ask(&a);
	expect_yield(&a); /* and goes on as if nothing had been said */
	house_next_agent(&b);
	cr_assert_geq(standin_fd(&b, CHANNEL_LEASE, 7), 0);
	standin_say(&b, CHANNEL_READY, CHANNEL_NONE, CHANNEL_CAN_YIELD, -1);
	await_answer(tool, "its agent (version 9.9) ended before it was ready");
}

Test(keeper_upgrade, goes_back_from_an_agent_that_is_never_ready)
{
	struct standin a, b;
	int tool;

	begin(&a, CHANNEL_CAN_YIELD);
	house_hold(&a, CHANNEL_LEASE, 7, house.director);
	install("echo onebeatd 9.9", "exec sleep 100");
	tool = ask(&a);
	expect_yield(&a);
	standin_order(&a, STANDIN_EXIT, 0);
	house_next_agent(&b); /* the keeper's own program */
	cr_assert_geq(standin_fd(&b, CHANNEL_LEASE, 7), 0);
	standin_say(&b, CHANNEL_READY, CHANNEL_NONE, CHANNEL_CAN_YIELD, -1);
	await_answer(tool, "ended before it was ready");

	/* What has failed once is not started again when this agent dies. */
	house_kill_agent(&b);
	house_next_agent(&b);
	cr_assert_geq(standin_fd(&b, CHANNEL_LEASE, 7), 0);
}

/* One of an earlier release would read over YIELD: it is killed, which costs it as little. */
Test(keeper_upgrade, does_not_ask_an_agent_that_would_not_understand)
{
	struct standin a, b;
	int tool;

	begin(&a, OLD_AGENT);
	install("echo onebeatd 9.9", "exit 1");
	tool = ask(&a);
	standin_await_end(&a, HOUSE_WAIT_MS);
	house_next_agent(&b);
	standin_say(&b, CHANNEL_READY, CHANNEL_NONE, CHANNEL_CAN_YIELD, -1);
	await_answer(tool, "ended before it was ready");
}

/* Types of messages and abilities that a later release may have are read over. */
Test(keeper_upgrade, reads_over_what_it_does_not_know)
{
	struct standin a;

	begin(&a, CHANNEL_CAN_YIELD | UINT64_C(1) << 40);
	standin_say(&a, (enum channel_type)99, CHANNEL_NONE, 0, -1);
	house_await_log("agent.unknown");
	house_hold(&a, CHANNEL_LEASE, 1, house.director);
}

/* A second one who asks is told so at once; the first one's upgrade is not disturbed. */
Test(keeper_upgrade, is_one_at_a_time)
{
	struct standin a;
	int first, second;

	begin(&a, CHANNEL_CAN_YIELD);
	install("exec sleep 100", "exit 1");
	first = ask(&a);
	house_await_log("upgrade.probe");
	second = ask(&a);
	await_answer(second, "under way already");
	await_answer(first, "did not answer in time");
}
