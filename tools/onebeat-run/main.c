/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onebeat-run: register a command that knows nothing of onebeat
 *
 * The tie to the agent is opened so that it survives exec(), the instance is registered "when listening", and
 * then this process becomes the command: no supervisor stays behind, so signals, exit status and process tree
 * are the command's own. The command inherits the tie as an open descriptor, its forked workers inherit it
 * again, and its end is their end.
 *
 * The agent's word is awaited for a moment, so that a refusal is seen here and not only in the agent's log. The
 * tie becomes readable when the agent has looked at the registration, because it then grants the next slot.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "options.h"

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool judged(const struct onebeat_report *report)
{
	return report->state != ONEBEAT_STATE_DETACHED && report->state != ONEBEAT_STATE_PENDING;
}

/* Waits until the agent has looked at the instance. 0, ONEBEAT_E_REFUSED, ONEBEAT_E_TIMEOUT or another error. */
static int await_word(struct onebeat *ob, const struct onebeat_instance *inst, unsigned int wait_ms,
		      struct onebeat_report *report)
{
	long long deadline = now_ms() + wait_ms;

	for (;;) {
		long long left = deadline - now_ms();
		struct pollfd fd = { .events = POLLIN };
		int r = onebeat_status(inst, report);

		if (r < 0)
			return r;
		if (judged(report))
			return report->state == ONEBEAT_STATE_REFUSED ? ONEBEAT_E_REFUSED : 0;
		if (left <= 0)
			return ONEBEAT_E_TIMEOUT;
		fd.fd = onebeat_fd(ob);
		if (fd.fd < 0)
			return fd.fd;
		if (poll(&fd, 1, (int)left) < 0 && errno != EINTR)
			return ONEBEAT_E_SYSTEM;
		(void)onebeat_attend(ob);
	}
}

static int register_it(const struct run_options *o, char text[ONEBEAT_TEXT_MAX])
{
	struct onebeat_options options = onebeat_options_init();
	struct onebeat_report report = { .size = sizeof(report) };
	struct onebeat_instance *inst;
	struct onebeat *ob;
	int r;

	options.runtime_dir = o->runtime_dir;
	options.flags = ONEBEAT_OPEN_REQUIRE_AGENT | ONEBEAT_OPEN_ACROSS_EXEC;
	options.max_instances = ONEBEAT_REGISTRIES_MAX; /* a place each */
	r = onebeat_open(&ob, &options);
	if (r < 0)
		return r;
	r = onebeat_register(ob, &o->spec, &inst);
	if (r == 0 && o->wait_ms > 0)
		r = await_word(ob, inst, o->wait_ms, &report);
	if (r == ONEBEAT_E_REFUSED)
		memcpy(text, report.text, ONEBEAT_TEXT_MAX);
	if (r < 0)
		onebeat_close(ob);
	return r; /* when all is well the handle is left open: it is the command's life */
}

static int run(char **command)
{
	execvp(command[0], command);
	fprintf(stderr, "onebeat-run: cannot run '%s': %s\n", command[0], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}

int main(int argc, char **argv)
{
	char text[ONEBEAT_TEXT_MAX] = "";
	struct run_options o;
	int r = options_parse(&o, argc, argv);

	if (r != OPTIONS_OK)
		return r == OPTIONS_DONE ? 0 : 2;
	r = register_it(&o, text);
	if (r < 0) {
		fprintf(stderr, "onebeat-run: service '%s' port %u is not registered: %s%s%s%s\n",
			o.spec.service, o.spec.port, onebeat_strerror(r),
			r == ONEBEAT_E_SYSTEM ? ": " : "",
			r == ONEBEAT_E_SYSTEM ? strerror(errno) : "",
			o.keep_going ? "; running the command unregistered" : "");
		if (text[0])
			fprintf(stderr, "onebeat-run: the agent says: %s\n", text);
		if (!o.keep_going)
			return r <= ONEBEAT_E_SERVICE_EMPTY && r >= ONEBEAT_E_ENABLED ? 2 : 1;
	}
	return run(o.command);
}
