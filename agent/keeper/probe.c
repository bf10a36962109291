/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the installed program whether it can take over
 *
 * Before anything is touched, the program is run as a child in check mode: it reads the very state that it
 * would be given and the configuration, says its version and exits 0; or it says why not. So a file that is
 * missing, no program, for another machine, of a version that does not know the state, or that crashes at
 * once costs nothing but a sentence, and so does a broken configuration. Some other program that happens to
 * exit with 0 does not say the word.
 *
 * What it says is read when it has ended: a pipe holds more than we pass on, and one that writes without end
 * is killed when its time is over.
 */
#include "keeper/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "keeper/spawn.h"

/* In the child: never returns. */
static void become(const char *program, char **argv, const sigset_t *mask, int out)
{
	int null = open("/dev/null", O_RDONLY);

	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(out, STDERR_FILENO) >= 0 && sigprocmask(SIG_SETMASK, mask, NULL) == 0)
		execv(program, argv);
	dprintf(out, "it cannot be executed: %s\n", strerror(errno));
	_exit(127);
}

int probe_start(struct probe *p, const char *program, char *const *argv, const sigset_t *mask,
		int state_fd)
{
	CLEANUP(close_fdp) int state = state_fd;
	CLEANUP(free_p) char **with = NULL;
	char option[SPAWN_OPTION_MAX];
	int pipe_fds[2];

	p->late = false;
	if (stat(program, &p->file) < 0)
		return -errno;
	snprintf(option, sizeof(option), PROBE_OPTION "%d", state);
	with = spawn_argv(argv, option);
	if (!with)
		return -ENOMEM;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	p->pid = fork();
	if (p->pid == 0) {
		(void)fcntl(pipe_fds[1], F_SETFL,
			    0); /* one that says much waits until it is killed */
		become(program, with, mask, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	if (p->pid < 0) {
		p->pid = 0;
		close(pipe_fds[0]);
		return -errno;
	}
	p->out_fd = pipe_fds[0];
	return 0;
}

/* The last line of text without its end, and nothing of it but what prints. */
static const char *last_line(char *text)
{
	size_t n = strlen(text);
	char *start;

	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	start = strrchr(text, '\n');
	return start ? start + 1 : text;
}

static bool take_version(const char *line, char version[PROBE_VERSION_MAX])
{
	const size_t n = strlen(PROBE_ANSWER);

	if (strncmp(line, PROBE_ANSWER, n) != 0 || line[n] == '\0' ||
	    strlen(line + n) >= PROBE_VERSION_MAX)
		return false;
	strncpy(version, line + n, PROBE_VERSION_MAX);
	return true;
}

bool probe_ended(struct probe *p, int how, char version[PROBE_VERSION_MAX], char why[PROBE_WHY_MAX])
{
	CLEANUP(close_fdp) int out = take_fd(&p->out_fd);
	char text[4096];
	ssize_t n = read(out, text, sizeof(text) - 1);
	const char *line;

	text[n > 0 ? n : 0] = '\0';
	line = last_line(text);
	p->pid = 0;
	if (WIFEXITED(how) && WEXITSTATUS(how) == 0 && take_version(line, version))
		return true;
	if (p->late)
		snprintf(why, PROBE_WHY_MAX, "it did not answer in time");
	else if (WIFSIGNALED(how))
		snprintf(why, PROBE_WHY_MAX, "it died of signal %d when it was asked",
			 WTERMSIG(how));
	else if (WEXITSTATUS(how) == 0)
		snprintf(why, PROBE_WHY_MAX, "it is no onebeatd: it did not tell its version");
	else
		snprintf(why, PROBE_WHY_MAX, "%.*s", PROBE_WHY_MAX - 1,
			 *line ? line : "it says that it cannot, and not why");
	return false;
}

void probe_kill(struct probe *p)
{
	kill(p->pid, SIGKILL); /* not yet waited for: the pid is still its own */
	p->late = true;
}

bool probe_unchanged(const struct probe *p, const char *program)
{
	struct stat now;

	return stat(program, &now) == 0 && now.st_dev == p->file.st_dev &&
	       now.st_ino == p->file.st_ino && now.st_size == p->file.st_size &&
	       now.st_mtim.tv_sec == p->file.st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == p->file.st_mtim.tv_nsec;
}
