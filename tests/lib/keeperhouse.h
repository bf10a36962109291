/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_KEEPERHOUSE_H
#define LIB_KEEPERHOUSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/standin.h"

/* When to give up waiting for another process. */
#define HOUSE_WAIT_MS 20000

struct house_text {
	char bytes[16384];
	size_t n;
};

/* A keeper in a process of its own, in a folder of its own, and where its agents report. */
struct house {
	char dir[64];    /* all of the test's files */
	char run[80];    /* runtime folder */
	char option[96]; /* STANDIN_OPTION PATH */
	int director;
	const char *program;   /* the stand-in, unless the test sets another */
	const char *own_image; /* NULL, unless the test sets one */
	uint32_t stop_wait_ms;
	uint32_t upgrade_wait_ms;
	pid_t keeper;
	int out_fd; /* the keeper's stdout and stderr */
	int err_fd;
	struct house_text out;
	struct house_text err;
};

extern struct house house;

/* For TestSuite: .init and .fini. */
void house_make(void);
void house_clear(void);

void house_start_keeper(void);
/* Waits for the keeper's end: its exit status, or -SIGNAL when one killed it. */
int house_await_keeper(void);
/* Wait until the keeper has written that to stdout, to stderr. */
void house_await_out(const char *wanted);
void house_await_log(const char *wanted);

/* Path of a file in the runtime folder (static buffer); is it there? */
const char *house_path(const char *name);
bool house_has(const char *name);

/* Waits for the next agent; kills one and waits for its end; has one's descriptor held. */
void house_next_agent(struct standin *s);
void house_kill_agent(struct standin *s);
void house_hold(const struct standin *s, enum channel_kind kind, uint64_t id, int fd);

#endif
