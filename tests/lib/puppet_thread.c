/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The puppet's commands on threads, and on ways to come to an end
 *
 * "thread end _exit" is _exit() outside the first thread, "leavemain" makes all later commands those of
 * another thread; the library's calls have no favourite thread.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/puppet.h"

struct order {
	struct puppet *puppet;
	char line[512];
};

static void *obey_one(void *arg)
{
	struct order *order = arg;

	puppet_obey(order->puppet, order->line);
	return NULL;
}

static void do_thread(struct puppet *p, char **words)
{
	struct order order = { .puppet = p };
	pthread_t thread;
	size_t n = 0;

	for (; *words && n < sizeof(order.line); words++)
		n += (size_t)snprintf(order.line + n, sizeof(order.line) - n, "%s ", *words);
	if (pthread_create(&thread, NULL, obey_one, &order) != 0)
		puppet_refuse("no thread");
	else
		pthread_join(thread, NULL);
}

static void *obey_the_rest(void *arg)
{
	puppet_ok("%s", "");
	puppet_obey_all(arg);
	exit(0);
}

static void do_leavemain(struct puppet *p, char **words)
{
	pthread_t thread;

	(void)words;
	if (pthread_create(&thread, NULL, obey_the_rest, p) != 0) {
		puppet_refuse("no thread");
		return;
	}
	pthread_exit(NULL);
}

/* The same number in two places, so that a torn descriptor shows. */
static void *publish(void *arg)
{
	const struct puppet_name *last = arg;
	struct puppet_spec words = last->spec;
	struct onebeat_spec spec = puppet_spec_build(&words);
	struct onebeat_metadata pair = { .key = "v" };
	char text[16];

	spec.metadata = &pair;
	spec.n_metadata = 1;
	pair.value = text;
	for (unsigned int i = 1;; i = i % 9999 + 1) {
		snprintf(text, sizeof(text), "%u", i);
		spec.weight = i;
		(void)onebeat_update(last->inst, &spec);
	}
	return NULL;
}

static void do_publish(struct puppet *p, char **words)
{
	long n = strtol(words[0], NULL, 0);

	if (!p->last) {
		puppet_refuse("nothing has been registered");
		return;
	}
	for (long i = 0; i < n; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, publish, p->last) != 0) {
			puppet_refuse("no thread");
			return;
		}
		pthread_detach(thread);
	}
	puppet_ok("%s", "");
}

static void end_thread(void)
{
	pthread_exit(NULL);
}

static void end_exit_now(void)
{
	_exit(0);
}

static void end_quickly(void)
{
	quick_exit(0);
}

static void end_segv(void)
{
	raise(SIGSEGV);
}

static const struct {
	const char *name;
	void (*end)(void);
} ends[] = {
	{ "_exit", end_exit_now }, { "quick_exit", end_quickly }, { "abort", abort },
	{ "segv", end_segv },      { "thread", end_thread },
};

static void do_end(struct puppet *p, char **words)
{
	(void)p;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (strcmp(ends[i].name, words[0]) != 0)
			continue;
		puppet_ok("%s", "");
		ends[i].end();
	}
	puppet_refuse("no such end: %s", words[0]);
}

static void do_setuid(struct puppet *p, char **words)
{
	const uid_t uid = (uid_t)strtoul(words[0], NULL, 0);

	(void)p;
	if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		puppet_refuse("setresuid: %s", strerror(errno));
	else
		puppet_ok("uid=%u", getuid());
}

static void do_touch(struct puppet *p, char **words)
{
	const size_t size = strtoul(words[0], NULL, 0) << 20;
	char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)p;
	if (bytes == MAP_FAILED) {
		puppet_refuse("mmap: %s", strerror(errno));
		return;
	}
	/* Page by page: huge pages would be gone in no time. */
	madvise(bytes, size, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < size; at += 4096)
		bytes[at] = 1;
	puppet_ok("%s", "");
}

static void do_core(struct puppet *p, char **words)
{
	struct rlimit limit;

	(void)p;
	(void)words;
	getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_max != RLIM_INFINITY)
		puppet_refuse("RLIMIT_CORE: %s", strerror(errno));
	else
		puppet_ok("%s", "");
}

const struct puppet_command puppet_thread_commands[] = {
	{ "thread", 1, do_thread },   { "leavemain", 0, do_leavemain },
	{ "publish", 1, do_publish }, { "end", 1, do_end },
	{ "setuid", 1, do_setuid },   { "touch", 1, do_touch },
	{ "core", 0, do_core },       { NULL, 0, NULL },
};
