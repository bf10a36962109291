/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting an agent
 *
 * fork and exec of the installed binary with what is in the manifest *inherited*. All descriptors
 * of the keeper are CLOEXEC; the flag is taken off in the child alone, after the fork, so that no
 * other program that may be started here one day gets them. Everything that can fail for want of
 * memory is done before the fork.
 *
 * A CLOEXEC pipe tells how the exec went: it closes by itself when that succeeds, and brings the
 * errno when not. So "the program is gone" is an error of the start, with its reason, not the death
 * of an agent.
 */
#include "keeper/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <onebeat/crashpoint.h>
#include "base/cleanup.h"

char **spawn_argv(char *const *argv, char *option)
{
	size_t n = 0;
	char **out;

	assert(argv[0]);
	while (argv[n])
		n++;
	out = calloc(n + 2, sizeof(*out));
	if (!out)
		return NULL;
	out[0] = argv[0];
	out[1] = option;
	memcpy(out + 2, argv + 1, (n - 1) * sizeof(*out));
	return out;
}

static int inherit(const struct spawn *s)
{
	for (uint32_t i = 0; i < s->head.n_entries; i++) {
		if (fcntl(s->entries[i].fd, F_SETFD, 0) < 0)
			return -errno;
	}
	return 0;
}

/* In the child: never returns. */
static void become_agent(const struct spawn *s, char **argv, int report)
{
	int error = -inherit(s);

	ONEBEAT_CRASH_POINT("keeper.child.inherited");
	if (error == 0 && sigprocmask(SIG_SETMASK, s->mask, NULL) == 0)
		execv(s->program, argv);
	if (error == 0)
		error = errno;
	while (write(report, &error, sizeof(error)) < 0 && errno == EINTR)
		;
	_exit(127);
}

/* Waits until the child has become the program, or has said why not. 0 or a negative errno. */
static int await_exec(pid_t pid, int report)
{
	int error = 0;
	ssize_t n;

	do {
		n = read(report, &error, sizeof(error));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return n == (ssize_t)sizeof(error) && error > 0 ? -error : -EIO;
}

pid_t spawn_agent(const struct spawn *s)
{
	CLEANUP(close_fdp) int manifest = manifest_write(&s->head, s->entries);
	CLEANUP(close_fdp) int report = -1;
	CLEANUP(free_p) char **argv = NULL;
	char option[SPAWN_OPTION_MAX];
	int pipe_fds[2];
	pid_t pid;
	int r;

	if (manifest < 0)
		return manifest;
	ONEBEAT_CRASH_POINT("keeper.spawn.manifest");
	snprintf(option, sizeof(option), "--agent-manifest=%d", manifest);
	argv = spawn_argv(s->argv, option);
	if (!argv)
		return -ENOMEM;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	report = pipe_fds[0];
	pid = fork();
	if (pid == 0)
		become_agent(s, argv, pipe_fds[1]);
	ONEBEAT_CRASH_POINT("keeper.spawn.forked");
	r = pid < 0 ? -errno : 0;
	close(pipe_fds[1]);
	if (r == 0)
		r = await_exec(pid, report);
	ONEBEAT_CRASH_POINT("keeper.spawn.execed");
	return r < 0 ? r : pid;
}
