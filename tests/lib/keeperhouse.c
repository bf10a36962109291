/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper and its agents for tests: every wait has an end, and one that ends in vain fails the
 * test.
 */
#include "lib/keeperhouse.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/keeper.h"

#define STANDIN_PROGRAM ONEBEAT_BIN_DIR "/tests/standin_child"

struct house house;

void house_make(void)
{
	snprintf(house.dir, sizeof(house.dir), "/tmp/onebeat-keeper-XXXXXX");
	cr_assert(mkdtemp(house.dir));
	snprintf(house.run, sizeof(house.run), "%s/run", house.dir);
	snprintf(house.option, sizeof(house.option), STANDIN_OPTION "%s/director", house.dir);
	house.director = standin_listen(house.option + strlen(STANDIN_OPTION));
	house.program = STANDIN_PROGRAM;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void house_clear(void)
{
	if (house.keeper > 0) {
		kill(house.keeper, SIGKILL);
		waitpid(house.keeper, NULL, 0);
	}
	nftw(house.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void be_keeper(int out, int err)
{
	static char name[] = "onebeatd";
	char *argv[] = { name, house.option, NULL };
	struct keeper_options options = { .runtime_dir = house.run,
					  .program = house.program,
					  .argv = argv,
					  .own_image = house.own_image,
					  .stop_wait_ms = house.stop_wait_ms,
					  .upgrade_wait_ms = house.upgrade_wait_ms };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close_range(3, ~0u, 0); /* what the tests have open is not ours to pass on */
	_exit(keeper_run(&options));
}

void house_start_keeper(void)
{
	int out[2], err[2];

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
	house.keeper = fork();
	if (house.keeper == 0)
		be_keeper(out[1], err[1]);
	close(out[1]);
	close(err[1]);
	house.out_fd = out[0];
	house.err_fd = err[0];
	house.out.n = 0;
	house.err.n = 0;
}

static void await_text(struct house_text *t, int fd, const char *wanted)
{
	t->bytes[t->n] = '\0';
	while (!strstr(t->bytes, wanted)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		cr_assert_eq(poll(&p, 1, HOUSE_WAIT_MS), 1, "no \"%s\" in: %s", wanted, t->bytes);
		n = read(fd, t->bytes + t->n, sizeof(t->bytes) - 1 - t->n);
		cr_assert(n > 0, "no \"%s\" in: %s", wanted, t->bytes);
		t->n += (size_t)n;
		t->bytes[t->n] = '\0';
	}
}

void house_await_out(const char *wanted)
{
	await_text(&house.out, house.out_fd, wanted);
}

void house_await_log(const char *wanted)
{
	await_text(&house.err, house.err_fd, wanted);
}

int house_await_keeper(void)
{
	int how;

	cr_assert_eq(waitpid(house.keeper, &how, 0), house.keeper);
	house.keeper = 0;
	return WIFSIGNALED(how) ? -WTERMSIG(how) : WEXITSTATUS(how);
}

const char *house_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", house.run, name);
	return path;
}

bool house_has(const char *name)
{
	struct stat st;

	return lstat(house_path(name), &st) == 0;
}

void house_next_agent(struct standin *s)
{
	standin_accept(s, house.director, HOUSE_WAIT_MS);
}

void house_kill_agent(struct standin *s)
{
	kill(s->pid, SIGKILL);
	standin_await_end(s, HOUSE_WAIT_MS);
	standin_close(s);
}

void house_hold(const struct standin *s, enum channel_kind kind, uint64_t id, int fd)
{
	struct channel_msg held;

	standin_say(s, CHANNEL_HOLD, kind, id, fd);
	held = standin_hear(s, HOUSE_WAIT_MS);
	cr_assert_eq(held.type, CHANNEL_HELD);
	cr_assert_eq(held.kind, kind);
	cr_assert_eq(held.id, id);
	cr_assert_eq(held.status, 0, "%s", strerror(held.status));
}
