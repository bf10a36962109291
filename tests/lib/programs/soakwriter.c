/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that registers instances whose every field says whose they are: for the kill soak (tests/soak/)
 *
 *   soakwriter OWNER LANE
 *
 * OWNER is a number that no other process of the run has; LANE chooses the instances' names, which processes
 * after this one will use as well. Every publication has the next sequence number, and every value in it follows
 * from instance, owner and number: tests/soak/payload.py computes the same. Between commands it publishes in
 * bursts, so that whoever kills it meets it at any instruction.
 *
 * Commands, one line each, and each answered by a line "ok ..." or "error ...":
 *   attend, until attached
 *   open    close    register K    deregister K    fork -> pid    closeall    exec PATH ARG...    exit N
 *   quiet -> K=SEQ of what is registered, and no publication until  storm
 */
#include <fcntl.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <onebeat/onebeat.h>

#define N_KEYS 4
#define LARGE_KEY 3u /* does not fit a small slot */
#define OWNER_KEY 1u /* dies with its process, whatever its workers do */
#define PAIRS_MAX 20
#define TURN_MS 12u
#define BURST 10u
#define ATTENDS 3000u
#define WORKER_LIFE_S 600 /* if nobody ends it: nothing is left behind for ever */

static uint32_t owner, lane, seq, turn;
static bool quiet;
static struct onebeat *ob;

static struct key {
	struct onebeat_instance *inst;
	uint32_t seq; /* published last */
} keys[N_KEYS];

/* The values. */

static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

static uint32_t word(uint32_t k, uint32_t number, uint32_t i)
{
	return mix(owner * 0x9e3779b1u ^
		   mix((lane * 8 + k) * 0x85ebca6bu ^ mix(number * 0xc2b2ae35u + i)));
}

struct content {
	char service[16];
	char keys[PAIRS_MAX][4];
	char values[PAIRS_MAX][56];
	struct onebeat_metadata pairs[PAIRS_MAX];
	struct onebeat_spec spec;
};

/* The text n times over. */
static void put_pair(struct content *c, const char *key, const char *text, uint32_t n)
{
	const uint32_t i = c->spec.n_metadata++;
	const size_t length = strlen(text);

	snprintf(c->keys[i], sizeof(c->keys[i]), "%s", key);
	for (uint32_t k = 0; k < n && (k + 1) * length < sizeof(c->values[i]); k++)
		memcpy(c->values[i] + k * length, text, length);
	c->pairs[i] = (struct onebeat_metadata){ c->keys[i], c->values[i] };
}

static void put_number(struct content *c, const char *key, bool hex, uint32_t number, uint32_t n)
{
	char text[16];

	snprintf(text, sizeof(text), hex ? "%08x" : "%u", number);
	put_pair(c, key, text, n);
}

static const struct onebeat_spec *build(struct content *c, uint32_t k, uint32_t number)
{
	const uint32_t n = k == LARGE_KEY ? 12 + word(k, number, 1000) % 5
					  : 1 + word(k, number, 1000) % 5;

	memset(c, 0, sizeof(*c));
	c->spec = onebeat_spec_init();
	snprintf(c->service, sizeof(c->service), "soak.%u", lane * 8 + k);
	put_number(c, "o", false, owner, 1);
	put_number(c, "s", false, number, 1);
	for (uint32_t i = 0; i < n; i++) {
		const char key[2] = { (char)('A' + i), '\0' };

		put_number(c, key, true, word(k, number, i), k == LARGE_KEY ? 6 : 1 + i % 2);
	}
	c->spec.service = c->service;
	c->spec.ip = "10.0.0.1";
	c->spec.port = 20000 + lane * 8 + k;
	c->spec.weight = (word(k, number, 2000) % 9999 + 1) / 100.0;
	c->spec.beat_ms = 1000;
	c->spec.policy = k == OWNER_KEY ? ONEBEAT_OWNER : ONEBEAT_ANY_HOLDER;
	c->spec.metadata = c->pairs;
	return &c->spec;
}

/* What it does. */

static void say(const char *line)
{
	if (printf("%s\n", line) < 0 || fflush(stdout) == EOF)
		_exit(3); /* nobody listens any more */
}

static void say_result(int r)
{
	char line[256];

	if (r == 0) {
		say("ok");
		return;
	}
	snprintf(line, sizeof(line), "error %d %s", r, onebeat_strerror(r));
	say(line);
}

static void update(uint32_t k)
{
	struct content c;
	int r;

	if (!keys[k].inst)
		return;
	r = onebeat_update(keys[k].inst, build(&c, k, ++seq));
	keys[k].seq = seq;
	if (r != 0) {
		fprintf(stderr, "wrong: update by owner %u: %s\n", owner, onebeat_strerror(r));
		_exit(4);
	}
}

static int open_handle(void)
{
	return ob ? 0 : onebeat_open(&ob, NULL);
}

/* A process that has lost its lease comes back by itself; this waits for it. */
static int attend(void)
{
	int r = ONEBEAT_E_DETACHED;

	for (uint32_t i = 0; i < ATTENDS && r != 0; i++) {
		r = onebeat_attend(ob);
		if (r != 0)
			poll(NULL, 0, 10);
	}
	return r;
}

static int close_handle(void)
{
	memset(keys, 0, sizeof(keys));
	(void)onebeat_close(ob);
	ob = NULL;
	return 0;
}

static int register_key(uint32_t k)
{
	struct content c;
	struct onebeat_instance *inst;
	int r = keys[k].inst ? 0 : onebeat_register(ob, build(&c, k, ++seq), &inst);

	if (keys[k].inst || r != 0)
		return r;
	keys[k].inst = inst;
	keys[k].seq = seq;
	return 0;
}

static int deregister_key(uint32_t k)
{
	int r = keys[k].inst ? onebeat_deregister(keys[k].inst) : 0;

	keys[k].inst = NULL;
	return r;
}

/* A worker: holds the lease by being there, and may not publish. */
static _Noreturn void work(void)
{
	struct content c;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; null >= 0 && fd < STDERR_FILENO; fd++)
		dup2(null, fd);
	alarm(WORKER_LIFE_S);
	for (;;) {
		for (uint32_t k = 0; k < N_KEYS; k++) {
			struct onebeat_report report = { .size = sizeof(report) };

			if (!keys[k].inst)
				continue;
			onebeat_tick(keys[k].inst);
			if (onebeat_status(keys[k].inst, &report) != 0 ||
			    onebeat_update(keys[k].inst, build(&c, k, ++seq)) != ONEBEAT_E_FORKED) {
				fprintf(stderr, "wrong: a worker of owner %u may publish\n", owner);
				_exit(4);
			}
		}
		poll(NULL, 0, 50);
	}
}

static void do_fork(void)
{
	char line[32];
	pid_t pid = fork();

	if (pid == 0)
		work();
	snprintf(line, sizeof(line), "ok %d", (int)pid);
	say(line);
}

/* As daemons do, but for stdio. */
static void close_all(void)
{
	for (int fd = STDERR_FILENO + 1; fd < 65536; fd++)
		close(fd);
	say("ok");
}

static void do_exec(char *words[])
{
	say("ok");
	execv(words[0], words);
	_exit(127);
}

static void do_quiet(void)
{
	char line[128] = "ok";
	int n = 2;

	quiet = true;
	for (uint32_t k = 0; k < N_KEYS; k++) {
		if (keys[k].inst)
			n += snprintf(line + n, sizeof(line) - (size_t)n, " %u=%u", k, keys[k].seq);
	}
	say(line);
}

static void obey_number(const char *name, uint32_t n)
{
	if (strcmp(name, "register") == 0)
		say_result(register_key(n % N_KEYS));
	else if (strcmp(name, "deregister") == 0)
		say_result(deregister_key(n % N_KEYS));
	else if (strcmp(name, "exit") == 0)
		exit((int)n);
	else
		say("error 1 no such command");
}

static void obey(char *line)
{
	char *words[8] = { NULL };
	char *rest = NULL;
	int n = 0;

	for (char *w = strtok_r(line, " \n", &rest); w && n < 7; w = strtok_r(NULL, " \n", &rest))
		words[n++] = w;
	if (n == 0)
		return;
	if (strcmp(words[0], "open") == 0)
		say_result(open_handle());
	else if (strcmp(words[0], "attend") == 0)
		say_result(attend());
	else if (strcmp(words[0], "close") == 0)
		say_result(close_handle());
	else if (strcmp(words[0], "fork") == 0)
		do_fork();
	else if (strcmp(words[0], "closeall") == 0)
		close_all();
	else if (strcmp(words[0], "quiet") == 0)
		do_quiet();
	else if (strcmp(words[0], "storm") == 0)
		quiet = false, say("ok");
	else if (strcmp(words[0], "exec") == 0 && n > 1)
		do_exec(words + 1);
	else
		obey_number(words[0], words[1] ? (uint32_t)strtoul(words[1], NULL, 10) : 0);
}

static void publish_some(void)
{
	const uint32_t random = mix(owner ^ mix(turn++));

	if (ob)
		(void)onebeat_attend(ob);
	for (uint32_t i = 0; !quiet && i < random % BURST; i++)
		update(mix(random + i) % N_KEYS);
}

int main(int argc, char **argv)
{
	char line[512];
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	if (argc != 3) {
		fprintf(stderr, "usage: soakwriter OWNER LANE\n");
		return 2;
	}
	owner = (uint32_t)strtoul(argv[1], NULL, 10);
	lane = (uint32_t)strtoul(argv[2], NULL, 10);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		int n = poll(&input, 1, (int)(1 + mix(owner + turn) % TURN_MS));

		if (n > 0 && !fgets(line, sizeof(line), stdin))
			return 0; /* the driver is gone */
		if (n > 0)
			obey(line);
		publish_some();
	}
}
