/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The puppet's commands on processes
 *
 * A child that stays gets /dev/null for its standard descriptors, so that the test's pipes end with the
 * puppet, and an alarm, so that a test that fails leaves nothing behind. What a child has to say comes
 * through a pipe, and the puppet says it: one line a command.
 */
#include <fcntl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/puppet.h"

#define CHILD_LIFE_S 300

void puppet_settle(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	alarm(CHILD_LIFE_S);
}

void puppet_stay(void)
{
	for (;;)
		pause();
}

static void tell(int pipe_fd, const char *line)
{
	if (write(pipe_fd, line, strlen(line)) < 0)
		_exit(3);
	close(pipe_fd);
}

/* Forks; the child runs act, which tells a line into the pipe. The line is in out afterwards. */
static pid_t fork_and_hear(struct puppet *p, void (*act)(struct puppet *p, int pipe_fd), char *out,
			   size_t size)
{
	size_t length = 0;
	ssize_t n;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		act(p, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	while (pid > 0 && length < size - 1 &&
	       (n = read(ends[0], out + length, size - 1 - length)) > 0)
		length += (size_t)n;
	close(ends[0]);
	out[length] = '\0';
	return pid;
}

static void child_pauses(struct puppet *p, int pipe_fd)
{
	(void)p;
	puppet_settle();
	tell(pipe_fd, "there");
	puppet_stay();
}

static void do_fork(struct puppet *p, char **words)
{
	char line[16];
	pid_t pid = fork_and_hear(p, child_pauses, line, sizeof(line));

	(void)words;
	if (pid < 0)
		puppet_refuse("fork: %s", strerror(errno));
	else
		puppet_ok("pid=%d", (int)pid);
}

/* A worker with a handle of its own, with the same spec as the last register. */
static void child_registers(struct puppet *p, int pipe_fd)
{
	struct onebeat_options o = onebeat_options_init();
	struct onebeat_spec spec = puppet_spec_build(&p->last->spec);
	struct onebeat_instance *inst;
	struct onebeat *ob;
	char line[16];
	int r;

	puppet_settle();
	o.runtime_dir = p->dir[0] ? p->dir : NULL;
	if (p->worker_uid > 0 && setresuid(p->worker_uid, p->worker_uid, p->worker_uid) < 0)
		_exit(4);
	r = onebeat_open(&ob, &o);
	if (r == 0)
		r = onebeat_register(ob, &spec, &inst);
	snprintf(line, sizeof(line), "%d", r);
	tell(pipe_fd, line);
	if (r == 0)
		puppet_stay();
}

static void do_forkworker(struct puppet *p, char **words)
{
	char line[16];
	pid_t pid;
	int r;

	if (!p->last) {
		puppet_refuse("nothing has been registered");
		return;
	}
	p->worker_uid = (uid_t)strtoul(puppet_option(words, "uid", "0"), NULL, 0);
	pid = fork_and_hear(p, child_registers, line, sizeof(line));
	r = (int)strtol(line, NULL, 10);
	if (pid < 0 || !line[0]) {
		puppet_refuse("the worker died");
	} else if (r < 0) {
		waitpid(pid, NULL, 0);
		puppet_fail(r);
	} else {
		puppet_ok("pid=%d", (int)pid);
	}
}

static void child_calls(struct puppet *p, int pipe_fd)
{
	struct onebeat_spec spec = puppet_spec_build(&p->last->spec);
	struct onebeat_report report = { .size = sizeof(report) };
	struct onebeat_instance *inst = p->last->inst;
	struct onebeat_instance *again = NULL;
	char line[512];
	int r_register = onebeat_register(p->ob, &spec, &again);
	int r_update = onebeat_update(inst, &spec);
	int r_set_status = onebeat_set_status(inst, ONEBEAT_STATE_DOWN);
	int r_wait = onebeat_wait(inst, ONEBEAT_STATE_UP, 0);
	int r_attend = onebeat_attend(p->ob);
	int r_fd = onebeat_fd(p->ob);
	int r_deregister = onebeat_deregister(inst);
	int r_status, r_close;

	onebeat_tick(inst);
	r_status = onebeat_status(inst, &report);
	r_close = onebeat_close(p->ob);
	snprintf(
		line, sizeof(line),
		"register=%d update=%d set_status=%d wait=%d attend=%d fd=%d deregister=%d status=%d "
		"close=%d state=%d",
		r_register, r_update, r_set_status, r_wait, r_attend, r_fd, r_deregister, r_status,
		r_close, report.state);
	tell(pipe_fd, line);
}

static void do_forkcall(struct puppet *p, char **words)
{
	char line[512];
	int status = 0;
	pid_t pid;

	(void)words;
	if (!p->last) {
		puppet_refuse("nothing has been registered");
		return;
	}
	pid = fork_and_hear(p, child_calls, line, sizeof(line));
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		puppet_refuse("fork: %s", strerror(errno));
	else if (status != 0)
		puppet_refuse("the child ended with status 0x%x", (unsigned)status);
	else
		puppet_ok("%s", line);
}

/* The grandchild goes on with the test's pipes when both processes before it are gone. */
static void do_daemonise(struct puppet *p, char **words)
{
	char byte;
	int ends[2];
	pid_t pid;

	(void)p;
	(void)words;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		puppet_refuse("pipe: %s", strerror(errno));
		return;
	}
	pid = fork();
	if (pid > 0)
		_exit(waitpid(pid, NULL, 0) < 0);
	if (pid < 0 || setsid() < 0) {
		puppet_refuse("fork: %s", strerror(errno));
		return;
	}
	pid = fork();
	if (pid > 0)
		_exit(0);
	close(ends[1]);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	close(ends[0]);
	puppet_ok("pid=%d", (int)getpid());
}

static void do_exec(struct puppet *p, char **words)
{
	(void)p;
	if (access(words[0], X_OK) < 0) {
		puppet_refuse("%s: %s", words[0], strerror(errno));
		return;
	}
	puppet_ok("%s", "");
	execv(words[0], words);
	_exit(127);
}

static void do_pid(struct puppet *p, char **words)
{
	(void)p;
	(void)words;
	puppet_ok("pid=%d", (int)getpid());
}

static void do_crash(struct puppet *p, char **words)
{
	(void)p;
	(void)words;
	puppet_ok("%s", "");
	kill(getpid(), SIGKILL);
}

/* Leaves everything as it is, as programs do. */
static void do_exit(struct puppet *p, char **words)
{
	(void)p;
	puppet_ok("%s", "");
	exit((int)strtol(words[0], NULL, 0));
}

const struct puppet_command puppet_process_commands[] = {
	{ "fork", 0, do_fork },
	{ "forkworker", 0, do_forkworker },
	{ "forkcall", 0, do_forkcall },
	{ "daemonise", 0, do_daemonise },
	{ "exec", 1, do_exec },
	{ "pid", 0, do_pid },
	{ "crash", 0, do_crash },
	{ "exit", 1, do_exit },
	{ NULL, 0, NULL },
};
