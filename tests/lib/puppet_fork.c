/* SPDX-License-Identifier: Apache-2.0 */
/* The puppet's commands on the odd ways to fork, and on many children at once. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/puppet.h"

static _Noreturn void be_child(void)
{
	puppet_settle();
	puppet_stay();
}

static void do_forkmany(struct puppet *p, char **words)
{
	int n = (int)strtol(words[0], NULL, 0);

	(void)p;
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			be_child();
		if (pid < 0) {
			puppet_refuse("fork %d of %d: %s", i, n, strerror(errno));
			return;
		}
	}
	puppet_ok("count=%d", n);
}

static pid_t raw_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static const struct {
	const char *name;
	pid_t (*fork)(void);
} ways[] = { { "fork", fork }, { "_Fork", _Fork }, { "clone", raw_clone } };

static void do_forkby(struct puppet *p, char **words)
{
	(void)p;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		pid_t pid;

		if (strcmp(ways[i].name, words[0]) != 0)
			continue;
		pid = ways[i].fork();
		if (pid == 0)
			be_child();
		if (pid < 0)
			puppet_refuse("%s: %s", words[0], strerror(errno));
		else
			puppet_ok("pid=%d", (int)pid);
		return;
	}
	puppet_refuse("no such way to fork: %s", words[0]);
}

static void do_vfork(struct puppet *p, char **words)
{
	pid_t pid;

	(void)p;
	/* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): it is what is tested */
	pid = vfork();
	if (pid == 0) {
		execv(words[0], words);
		_exit(127);
	}
	if (pid < 0)
		puppet_refuse("vfork: %s", strerror(errno));
	else
		puppet_ok("pid=%d", (int)pid);
}

const struct puppet_command puppet_fork_commands[] = {
	{ "forkmany", 1, do_forkmany },
	{ "forkby", 1, do_forkby },
	{ "vfork", 1, do_vfork },
	{ NULL, 0, NULL },
};
