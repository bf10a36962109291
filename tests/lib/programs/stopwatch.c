/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times the library's calls from inside a process, for tests/bench
 *
 *   stopwatch calls N     update and tick in ns a call, the system calls that N of each make
 *   stopwatch open N      onebeat_open() in ns, each of N
 *   stopwatch seen N PAUSE_MS AHEAD    publication to "the agent has it" in ns, each of N: after a pause, in which
 *                         the agent falls asleep, and with AHEAD others published right before
 *   stopwatch stay MIB    registers, touches so much memory, says ok, and stays
 *
 * Prints one number a line. System calls are counted by a filter that traps all but those which end a process or
 * write its answer, so it comes last. What is published again and again is the same: the agent has to look at it,
 * and has nothing to ask of the registry.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <onebeat/onebeat.h>

#define N_INSTANCES 8u
#define WAIT_MS 20000
#define ROUNDS 20u

static struct onebeat *ob;
static char service[32];
static struct onebeat_instance *instances[N_INSTANCES];
static struct onebeat_spec specs[N_INSTANCES];
static const struct onebeat_metadata metadata[] = { { "version", "1.4.2" },
						    { "zone", "eu-west-1a" },
						    { "management.port", "9090" } };
static volatile sig_atomic_t n_trapped;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "stopwatch: %s: %s\n", what, onebeat_strerror(r));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void register_n(uint32_t n)
{
	/* Of this process alone: ports of others that have just ended may be the same. */
	snprintf(service, sizeof(service), "stopwatch-%d", (int)getpid());
	must(onebeat_open(&ob, NULL), "open");
	for (uint32_t i = 0; i < n; i++) {
		specs[i] = onebeat_spec_init();
		specs[i].service = service;
		specs[i].ip = "10.0.0.1";
		specs[i].port = 1000 + i + (uint32_t)getpid() % 60000;
		specs[i].metadata = metadata;
		specs[i].n_metadata = sizeof(metadata) / sizeof(metadata[0]);
		must(onebeat_register(ob, &specs[i], &instances[i]), "register");
	}
	for (uint32_t i = 0; i < n; i++)
		must(onebeat_wait(instances[i], ONEBEAT_STATE_UP, WAIT_MS), "wait");
}

static void update(uint32_t i)
{
	must(onebeat_update(instances[i], &specs[i]), "update");
}

static void on_trap(int number)
{
	(void)number;
	n_trapped++;
}

/* Every system call is a SIGSYS from here on, apart from those that the answer and the end need. */
static void trap_calls(void)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	static const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	struct sigaction action = { .sa_handler = on_trap };

	sigaction(SIGSYS, &action, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("stopwatch: seccomp");
		exit(1);
	}
}

static void time_calls(uint32_t n)
{
	register_n(1);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t start = now_ns();

		for (uint32_t i = 0; i < n; i++)
			update(0);
		printf("update %g\n", (double)(now_ns() - start) / n);
		start = now_ns();
		for (uint32_t i = 0; i < n; i++)
			onebeat_tick(instances[0]);
		printf("tick %g\n", (double)(now_ns() - start) / n);
	}
	fflush(stdout);
	trap_calls();
	for (uint32_t i = 0; i < n; i++) {
		(void)onebeat_update(instances[0], &specs[0]);
		onebeat_tick(instances[0]);
	}
	printf("calls %d\n", (int)n_trapped);
	n_trapped = 0;
	(void)syscall(SYS_getppid); /* the counter counts */
	printf("counted %d\n", (int)n_trapped);
}

static void time_open(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t start = now_ns();

		must(onebeat_open(&ob, NULL), "open");
		printf("%llu\n", (unsigned long long)(now_ns() - start));
		onebeat_close(ob);
	}
}

static uint64_t time_until_seen(void)
{
	struct onebeat_report report = { .size = sizeof(report) };
	uint64_t start = now_ns();

	update(0);
	do
		must(onebeat_status(instances[0], &report), "status");
	while (!report.confirmed);
	return now_ns() - start;
}

static void time_seen(uint32_t n, uint32_t pause_ms, uint32_t n_ahead)
{
	register_n(N_INSTANCES);
	for (uint32_t i = 0; i < n; i++) {
		(void)poll(NULL, 0, (int)pause_ms); /* nothing happens, so that the agent sleeps */
		for (uint32_t k = 0; k < n_ahead; k++)
			update(1 + k % (N_INSTANCES - 1));
		printf("%llu\n", (unsigned long long)time_until_seen());
	}
}

static void stay(uint32_t mib)
{
	size_t size = (size_t)mib << 20;
	char *memory = NULL;

	if (size > 0) {
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
		if (memory == MAP_FAILED) {
			perror("stopwatch: mmap");
			exit(1);
		}
		memset(memory, 1, size);
	}
	register_n(1);
	printf("ok\n");
	fflush(stdout);
	for (;;)
		pause();
}

static uint32_t number(char **argv, int argc, int i)
{
	return i < argc ? (uint32_t)strtoul(argv[i], NULL, 10) : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "calls") == 0)
		time_calls(number(argv, argc, 2));
	else if (strcmp(what, "open") == 0)
		time_open(number(argv, argc, 2));
	else if (strcmp(what, "seen") == 0)
		time_seen(number(argv, argc, 2), number(argv, argc, 3), number(argv, argc, 4));
	else if (strcmp(what, "stay") == 0)
		stay(number(argv, argc, 2));
	else {
		fprintf(stderr, "usage: stopwatch calls|open|seen|stay N ...\n");
		return 2;
	}
	return 0;
}
