/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crowd of small processes that use the library: for what only numbers show
 *
 *   crowd PROCESSES INSTANCES [BEAT_MS]    each process opens a handle and is ready to register so many
 *
 * Reads lines and answers each with one line, "ok ..." or "error ...":
 *
 *   up SECONDS        all register; answers when the registry has confirmed every instance
 *   states            -> ok STATE=COUNT ..., by name, over all instances
 *   attend            every process calls onebeat_attend() once -> ok attached=COUNT
 *   kill N            SIGKILLs the last N processes -> ok pid=P ...
 *   pids              -> ok pid=P ...
 *
 * Instance I of process P is service crowd-P, ip 10.x.y.1 from P, port 1000 + I: no two are alike. At the end
 * of its input, and when it is killed itself, all of its processes are killed. They are forks that share what
 * they can, so that a thousand of them fit anywhere; each has a socket to the parent and waits there, so a
 * process that is asked nothing makes no call.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <onebeat/onebeat.h>

#define PROCESSES_MAX 8192
#define N_STATES 9

struct request {
	char what; /* first letter of the line */
	uint32_t number;
};

struct answer {
	int32_t code; /* the library's; 0: done */
	uint32_t states[N_STATES];
};

struct member {
	pid_t pid; /* 0: killed */
	int socket;
};

static const char *const state_names[N_STATES] = { "DETACHED",    "PENDING", "WAITING",
						   "REGISTERING", "UP",      "DOWN",
						   "REFUSED",     "LEAVING", "GONE" };

static struct member members[PROCESSES_MAX];
static uint32_t n_members;
static uint32_t n_instances;
static uint32_t beat_ms;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int register_all(struct onebeat *ob, struct onebeat_instance **instances, uint32_t number)
{
	struct onebeat_spec spec = onebeat_spec_init();
	char service[32], ip[32], beat[16];
	/* A registry of 1.4 or 2.x tells everybody its own 5 s, unless the instance says otherwise. */
	const struct onebeat_metadata asked = { "preserved.heart.beat.interval", beat };

	snprintf(service, sizeof(service), "crowd-%u", number);
	snprintf(ip, sizeof(ip), "10.%u.%u.1", number / 250, number % 250);
	spec.service = service;
	spec.ip = ip;
	spec.beat_ms = beat_ms;
	snprintf(beat, sizeof(beat), "%u", beat_ms);
	spec.n_metadata = beat_ms > 0;
	spec.metadata = &asked;
	for (uint32_t i = 0; i < n_instances; i++) {
		int r;

		spec.port = 1000 + i;
		r = onebeat_register(ob, &spec, &instances[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int wait_up(struct onebeat_instance **instances, uint32_t seconds)
{
	int64_t end_ms = now_ms() + (int64_t)seconds * 1000;

	for (uint32_t i = 0; i < n_instances; i++) {
		int64_t left_ms = end_ms - now_ms();
		int r = onebeat_wait(instances[i], ONEBEAT_STATE_UP,
				     left_ms > 0 ? (int)left_ms : 0);

		if (r < 0)
			return r;
	}
	return 0;
}

static int count_states(struct onebeat_instance **instances, uint32_t states[N_STATES])
{
	for (uint32_t i = 0; i < n_instances && instances[i]; i++) {
		struct onebeat_report report = { .size = sizeof(report) };
		int r = onebeat_status(instances[i], &report);

		if (r < 0)
			return r;
		states[report.state]++;
	}
	return 0;
}

/* A member's life: asks are answered in order until the parent is gone. */
static void live(uint32_t number, int socket)
{
	struct onebeat_options options = onebeat_options_init();
	struct onebeat_instance **instances = calloc(n_instances, sizeof(*instances));
	struct onebeat *ob = NULL;
	struct request request;

	options.max_instances = n_instances;
	options.timeout_ms = 60000;
	options.flags = ONEBEAT_OPEN_REQUIRE_AGENT;
	while (recv(socket, &request, sizeof(request), 0) == sizeof(request)) {
		struct answer answer = { .code = 0 };

		if (request.what == 'u') {
			answer.code = ob ? 0 : onebeat_open(&ob, &options);
			if (answer.code == 0)
				answer.code = register_all(ob, instances, number);
			if (answer.code == 0)
				answer.code = wait_up(instances, request.number);
		} else if (request.what == 's') {
			answer.code = count_states(instances, answer.states);
		} else {
			answer.code = onebeat_attend(ob);
		}
		if (send(socket, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
			break;
	}
	_exit(0);
}

static void start(uint32_t number)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		perror("crowd: socketpair");
		exit(1);
	}
	pid = fork();
	if (pid < 0) {
		perror("crowd: fork");
		exit(1);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(ends[0]);
		for (uint32_t i = 0; i < number; i++)
			close(members[i].socket);
		live(number, ends[1]);
	}
	close(ends[1]);
	members[number] = (struct member){ .pid = pid, .socket = ends[0] };
}

/* Asks everybody, then hears everybody. Returns the first code that is not 0. */
static int ask_all(struct request request, struct answer *sum, uint32_t *n_good)
{
	int code = 0;

	*sum = (struct answer){ .code = 0 };
	*n_good = 0;
	for (uint32_t i = 0; i < n_members; i++) {
		if (members[i].pid && send(members[i].socket, &request, sizeof(request),
					   MSG_NOSIGNAL) != sizeof(request))
			code = code ? code : ONEBEAT_E_SYSTEM;
	}
	for (uint32_t i = 0; i < n_members; i++) {
		struct answer answer = { .code = ONEBEAT_E_SYSTEM };

		if (!members[i].pid)
			continue;
		if (recv(members[i].socket, &answer, sizeof(answer), 0) != sizeof(answer))
			answer.code = ONEBEAT_E_SYSTEM;
		*n_good += answer.code == 0;
		code = code ? code : answer.code;
		for (int s = 0; s < N_STATES; s++)
			sum->states[s] += answer.states[s];
	}
	return code;
}

static void do_up(uint32_t seconds)
{
	struct answer sum;
	uint32_t n_good;
	int code = ask_all((struct request){ 'u', seconds }, &sum, &n_good);

	if (code < 0)
		printf("error %d of %u processes are up; %s\n", (int)n_good, n_members,
		       onebeat_strerror(code));
	else
		printf("ok\n");
}

static void do_states(void)
{
	struct answer sum;
	uint32_t n_good;
	int code = ask_all((struct request){ 's', 0 }, &sum, &n_good);

	printf(code < 0 ? "error %s" : "ok", onebeat_strerror(code));
	for (int s = 0; code == 0 && s < N_STATES; s++) {
		if (sum.states[s])
			printf(" %s=%u", state_names[s], sum.states[s]);
	}
	printf("\n");
}

static void do_attend(void)
{
	struct answer sum;
	uint32_t n_good;

	(void)ask_all((struct request){ 'a', 0 }, &sum, &n_good);
	printf("ok attached=%u\n", n_good);
}

static void do_kill(uint32_t n)
{
	printf("ok");
	for (uint32_t i = n_members; i-- > 0 && n > 0;) {
		if (!members[i].pid)
			continue;
		kill(members[i].pid, SIGKILL);
		waitpid(members[i].pid, NULL, 0);
		printf(" pid=%d", (int)members[i].pid);
		members[i].pid = 0;
		n--;
	}
	printf("\n");
}

static void do_pids(void)
{
	printf("ok");
	for (uint32_t i = 0; i < n_members; i++) {
		if (members[i].pid)
			printf(" pid=%d", (int)members[i].pid);
	}
	printf("\n");
}

static void obey(const char *line)
{
	const char *space = strchr(line, ' ');
	uint32_t number = space ? (uint32_t)strtoul(space, NULL, 10) : 0;

	if (strncmp(line, "up ", 3) == 0)
		do_up(number);
	else if (strncmp(line, "kill ", 5) == 0)
		do_kill(number);
	else if (strcmp(line, "states\n") == 0)
		do_states();
	else if (strcmp(line, "attend\n") == 0)
		do_attend();
	else if (strcmp(line, "pids\n") == 0)
		do_pids();
	else
		printf("error no such command\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc > 2) {
		n_members = (uint32_t)strtoul(argv[1], NULL, 10);
		n_instances = (uint32_t)strtoul(argv[2], NULL, 10);
		beat_ms = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	}
	if (n_members < 1 || n_members > PROCESSES_MAX || n_instances < 1 ||
	    n_instances > ONEBEAT_INSTANCES_MAX) {
		fprintf(stderr, "usage: crowd PROCESSES INSTANCES [BEAT_MS]\n");
		return 2;
	}
	for (uint32_t i = 0; i < n_members; i++)
		start(i);
	printf("ok\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	for (uint32_t i = 0; i < n_members; i++) {
		if (members[i].pid)
			kill(members[i].pid, SIGKILL);
	}
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	return 0;
}
