/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that updates its instance now and then, and measures how long the registry takes to have it
 *
 *   honest SERVICE PORT UPDATES GAP_MS [UID]
 *
 * Says "up" once the registry has confirmed it; after that, updates=N p50_us= p99_us= max_us=. From the update's
 * call to the registry's word, so library, agent, request and answer are in it. Exit status 1 with a sentence
 * when any call fails: an honest process must notice nothing of what others do.
 */
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <onebeat/onebeat.h>

#define WAIT_MS 20000

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void must(int r, const char *what)
{
	if (r == 0)
		return;
	printf("failed: %s: %d %s\n", what, r, r < 0 ? onebeat_strerror(r) : "");
	exit(1);
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void say(uint64_t *us, uint32_t n)
{
	qsort(us, n, sizeof(*us), compare);
	printf("updates=%u p50_us=%llu p99_us=%llu max_us=%llu\n", n, (unsigned long long)us[n / 2],
	       (unsigned long long)us[n * 99 / 100], (unsigned long long)us[n - 1]);
}

int main(int argc, char **argv)
{
	struct onebeat_options options = onebeat_options_init();
	struct onebeat_spec spec = onebeat_spec_init();
	struct onebeat_instance *inst;
	struct onebeat *ob;
	uint32_t n = argc > 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	int gap_ms = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0;
	uid_t uid = argc > 5 ? (uid_t)strtoul(argv[5], NULL, 10) : 0;
	uint64_t *us = calloc(n + 1, sizeof(*us));

	if (n == 0 || !us)
		return 2;
	prctl(PR_SET_PDEATHSIG, 9);
	if (uid)
		must(setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid),
		     "setresuid");
	spec.service = argv[1];
	spec.port = (uint32_t)strtoul(argv[2], NULL, 10);
	spec.ip = "10.1.2.3";
	options.timeout_ms = WAIT_MS;
	options.flags = ONEBEAT_OPEN_REQUIRE_AGENT;
	must(onebeat_open(&ob, &options), "open");
	must(onebeat_register(ob, &spec, &inst), "register");
	must(onebeat_wait(inst, ONEBEAT_STATE_UP, WAIT_MS), "up");
	puts("up");
	fflush(stdout);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t begin = now_us();

		spec.weight = 1 + i % 1000;
		must(onebeat_update(inst, &spec), "update");
		must(onebeat_wait(inst, ONEBEAT_STATE_UP, WAIT_MS), "confirmed");
		us[i] = now_us() - begin;
		poll(NULL, 0, gap_ms);
	}
	say(us, n);
	free(us);
	return onebeat_close(ob) == 0 ? 0 : 1;
}
