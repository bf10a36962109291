/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_CRASHPOINT_H
#define ONEBEAT_CRASHPOINT_H

/*
 * ONEBEAT_CRASH_POINT("lib.publish.copied"): a place where a test may have the process killed
 *
 * Nothing at all unless ONEBEAT_CRASH_POINTS is defined. Then the process sends itself SIGKILL when the
 * environment variable ONEBEAT_CRASH_AT is the point's name, or "NAME:N" and the point is passed for the
 * N-th time. Names are unique: the count belongs to the place. (Private, not installed.)
 */

#ifdef ONEBEAT_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static inline void onebeat__crashpoint_pass(const char *name, _Atomic unsigned int *n_passed)
{
	const char *at = getenv("ONEBEAT_CRASH_AT");
	size_t n = strlen(name);
	unsigned long wanted = 1;

	if (!at || strncmp(at, name, n) != 0 || (at[n] != '\0' && at[n] != ':'))
		return;
	if (at[n] == ':')
		wanted = strtoul(at + n + 1, NULL, 10);
	if (atomic_fetch_add_explicit(n_passed, 1, memory_order_relaxed) + 1 == wanted)
		raise(SIGKILL);
}

#define ONEBEAT_CRASH_POINT(name)                                    \
	do {                                                         \
		static _Atomic unsigned int crashpoint_here_;        \
		onebeat__crashpoint_pass((name), &crashpoint_here_); \
	} while (0)

#else

#define ONEBEAT_CRASH_POINT(name) ((void)0)

#endif

#endif
