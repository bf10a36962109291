/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that attacks the agent
 *
 *   hostile ATTACK [seconds=S] [count=N] [seed=N] [uid=U]
 *
 * Says "ready" when it is about to begin, "done acts=N seed=N" at the end. With uid it becomes that user (and the
 * group of that number) first. Exit status 0: it did what it could; 1: it could do what it must not, or could
 * not begin. ONEBEAT_RUNTIME_DIR names the folder.
 */
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/attacker.h"

static uint64_t option(char **words, const char *key, uint64_t fallback)
{
	size_t n = strlen(key);

	for (; *words; words++) {
		if (strncmp(*words, key, n) == 0 && (*words)[n] == '=')
			return strtoull(*words + n + 1, NULL, 10);
	}
	return fallback;
}

static const struct attack *find(const struct attack *table, const char *name)
{
	for (; table->name; table++) {
		if (strcmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

static void become(uid_t uid)
{
	if (uid != 0 && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
			 setresuid(uid, uid, uid) < 0))
		attacker_fail("cannot become uid %u", uid);
}

int main(int argc, char **argv)
{
	static struct attacker a;
	struct rlimit limit;
	const struct attack *attack = NULL;
	bool on_segment = false;
	uint64_t seed;

	if (argc >= 2) {
		attack = find(attacks_on_segment, argv[1]);
		on_segment = attack != NULL;
		if (!attack)
			attack = find(attacks_on_socket, argv[1]);
	}
	if (!attack)
		attacker_fail("usage: hostile ATTACK [seconds=S] [count=N] [seed=N] [uid=U]");
	prctl(PR_SET_PDEATHSIG, 9);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	become((uid_t)option(argv + 2, "uid", 0));
	a.dir = getenv("ONEBEAT_RUNTIME_DIR");
	seed = option(argv + 2, "seed", clock_now_ms() | 1);
	a.seed = seed * 2 + 1;
	a.count = (uint32_t)option(argv + 2, "count", 64);
	a.end_ms = clock_now_ms() + 1000 * option(argv + 2, "seconds", 2);
	if (!a.dir)
		attacker_fail("ONEBEAT_RUNTIME_DIR is not set");
	if (on_segment)
		attacker_attach(&a);
	puts("ready");
	fflush(stdout);
	attack->run(&a);
	printf("done acts=%" PRIu64 " seed=%" PRIu64 "\n", a.n_done, seed);
	return 0;
}
