/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc says of a process
 *
 * Pids are used again, so nothing here goes by the path twice: /proc/PID is opened once, and that
 * descriptor is bound to the process and not to its number. When the process is gone, reading
 * through it fails, even if a new one has the number. A zombie still has its stat and comm, but no
 * exe and no namespaces.
 *
 * /proc may be that of another pid namespace than ours (a container that did not mount its own): the
 * numbers that we are given then stand for other processes there. "self" tells, and is always right.
 */
#include "segment/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define STAT_MAX 1024 /* 52 numbers and a name of 16 bytes */
#define SKIP_4 " %*s %*s %*s %*s"

/* Does /proc number processes as our namespace does? */
static bool is_ours(void)
{
	char self[16], number[16];
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);

	snprintf(number, sizeof(number), "%d", (int)getpid());
	return n > 0 && strncmp(self, number, (size_t)n) == 0 && number[n] == '\0';
}

int proc_open(pid_t pid)
{
	char path[32] = "/proc/self";
	int fd;

	if (pid != getpid()) {
		if (!is_ours())
			return -EXDEV;
		snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	}
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int proc_read(int dir, const char *name, char *buf, size_t size)
{
	CLEANUP(close_fdp) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, buf, size - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return (int)n;
}

int proc_parse_stat(const char *text, struct proc_stat *out)
{
	/* The name, in parentheses, is the process's own choice: only the last ')' ends it. */
	const char *p = strrchr(text, ')');
	uint64_t start_ticks;
	int ppid, n_threads;
	char state;

	if (!p)
		return -EBADMSG;
	/* Behind it field 3 (state), 4 (ppid), ... 20 (threads), 21 and 22 (start time). */
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own text, numbers in its own types */
	if (sscanf(p + 1, " %c %d" SKIP_4 SKIP_4 SKIP_4 " %*s %*s %*s %d %*s %" SCNu64, &state,
		   &ppid, &n_threads, &start_ticks) != 4)
		return -EBADMSG;
	out->dead = state == 'X' || (state == 'Z' && n_threads <= 1);
	out->ppid = ppid;
	out->start_ticks = start_ticks;
	return 0;
}

int proc_read_stat(int dir, struct proc_stat *out)
{
	char text[STAT_MAX];
	int n = proc_read(dir, "stat", text, sizeof(text));

	return n < 0 ? n : proc_parse_stat(text, out);
}
