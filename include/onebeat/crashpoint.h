/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_CRASHPOINT_H
#define ONEBEAT_CRASHPOINT_H

/*
 * ONEBEAT_CRASH_POINT("lib.publish.copied"): a place where a test may have the process killed
 *
 * Nothing at all unless ONEBEAT_CRASH_POINTS is defined. Then the process sends itself SIGKILL when the plan is
 * the point's name, or "NAME:N" and the point is passed for the N-th time under such a plan. The plan is the
 * environment variable ONEBEAT_CRASH_AT or, when that begins with '/', what the file of that name holds at the
 * moment. So a test arms a process that runs already, and one plan kills one process: who dies first renames
 * the file to NAME.done, which leaves its successor none, and writes its pid there, which is the test's
 * evidence.
 *
 * tests/crash/points lists every point and wants a test for each. It reads the source, so a name is written
 * down where it is passed: as one literal, as a choice of two (is_post ? "a.b" : "a.c"), or, for code that
 * several tables share, as the beginning of one ("a.put.filled") that the table at hand completes:
 * ONEBEAT_CRASH_TABLE("a.put", "lease") makes it "a.put.filled.lease" for this thread. Names are unique: the
 * count belongs to the place. (Private, not installed.)
 */

#ifdef ONEBEAT_CRASH_POINTS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ONEBEAT__CRASH_PLAN_MAX 128

/* One for the whole program, though every file that includes this brings it. */
__attribute__((weak, visibility("hidden"))) _Thread_local const char *onebeat__crashpoint_table;

static inline bool onebeat__crashpoint_read(const char *at, char plan[ONEBEAT__CRASH_PLAN_MAX])
{
	ssize_t n;
	int fd;

	if (at[0] != '/') {
		strncpy(plan, at, ONEBEAT__CRASH_PLAN_MAX - 1);
		return true;
	}
	fd = open(at, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, plan, ONEBEAT__CRASH_PLAN_MAX - 1);
	close(fd);
	return n > 0;
}

/* False: somebody else has died of this plan. */
static inline bool onebeat__crashpoint_testify(const char *at, const char *plan)
{
	char path[4096], line[ONEBEAT__CRASH_PLAN_MAX + 32];
	int n, fd;

	if (at[0] != '/')
		return true;
	snprintf(path, sizeof(path), "%s.done", at);
	if (rename(at, path) < 0)
		return false;
	n = snprintf(line, sizeof(line), "\n%s pid %d\n", plan, (int)getpid());
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		_Exit(99);
	close(fd);
	return true;
}

static inline void onebeat__crashpoint_pass(const char *name, const char *table,
					    _Atomic unsigned int *n_passed)
{
	const char *at = getenv("ONEBEAT_CRASH_AT");
	const int error = errno;
	char plan[ONEBEAT__CRASH_PLAN_MAX] = "", full[ONEBEAT__CRASH_PLAN_MAX];
	unsigned long wanted = 1;
	size_t n;

	if (!at)
		return;
	snprintf(full, sizeof(full), "%s%s%s", name, table ? "." : "", table ? table : "");
	n = strlen(full);
	if (onebeat__crashpoint_read(at, plan) && strncmp(plan, full, n) == 0 &&
	    (plan[n] == '\0' || plan[n] == ':')) {
		if (plan[n] == ':')
			wanted = strtoul(plan + n + 1, NULL, 10);
		if (atomic_fetch_add_explicit(n_passed, 1, memory_order_relaxed) + 1 == wanted &&
		    onebeat__crashpoint_testify(at, plan))
			raise(SIGKILL);
	}
	errno = error;
}

#define ONEBEAT__CRASH_POINT(name, table)                                     \
	do {                                                                  \
		static _Atomic unsigned int crashpoint_here_;                 \
		onebeat__crashpoint_pass((name), (table), &crashpoint_here_); \
	} while (0)
#define ONEBEAT_CRASH_POINT(name) ONEBEAT__CRASH_POINT(name, NULL)
#define ONEBEAT_CRASH_POINT_IN_TABLE(name) ONEBEAT__CRASH_POINT(name, onebeat__crashpoint_table)
#define ONEBEAT_CRASH_TABLE(names, table) ((void)(onebeat__crashpoint_table = (table)))

#else

#define ONEBEAT_CRASH_POINT(name) ((void)0)
#define ONEBEAT_CRASH_POINT_IN_TABLE(name) ((void)0)
#define ONEBEAT_CRASH_TABLE(names, table) ((void)0)

#endif

#endif
