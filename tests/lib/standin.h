/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_STANDIN_H
#define LIB_STANDIN_H

#include <sys/types.h>

#include "base/channel.h"

/*
 * A stand-in for the agent (lib/programs/standin_child.c) that a test plays
 *
 * It connects to the test (SOCK_SEQPACKET, STANDIN_OPTION PATH), tells what its manifest names, a
 * STANDIN_ENTRY with the descriptor each, then STANDIN_HEAD; after that it carries every message
 * between test and keeper, unless it is one of its own.
 */
#define STANDIN_OPTION "--director="

enum standin_type {
	STANDIN_ENTRY = 200, /* to the test: kind, id, descriptor */
	STANDIN_HEAD =
		201, /* to the test: kind = quarantine, status = n_restarts, id = keeper's pid */
	STANDIN_UNLINKED = 202, /* to the test: the keeper's end of the channel is closed */
	STANDIN_EXIT = 203,     /* from the test: exit with status */
	STANDIN_UNLINK = 204,   /* from the test: close the channel, live on */
	STANDIN_DEAF = 205 /* from the test: status 1: read nothing from the keeper; 0: again */
};

#define STANDIN_ENTRIES_MAX 256

/* The test's end: an agent that has reported. */
struct standin {
	int sock;
	pid_t pid;
	int pidfd;
	int n_entries;
	struct channel_msg entries[STANDIN_ENTRIES_MAX];
	int fds[STANDIN_ENTRIES_MAX]; /* duplicates of what it inherited */
	struct channel_msg head;
};

/* Listens on path for stand-ins. */
int standin_listen(const char *path);
/* Waits for the next one and its report; fails the test when none comes in wait_ms. */
void standin_accept(struct standin *s, int listener, int wait_ms);
void standin_close(struct standin *s);
/* Its inherited descriptor of that name, -1 if there is none. */
int standin_fd(const struct standin *s, enum channel_kind kind, uint64_t id);
/* Says it to the keeper, through the stand-in. */
void standin_say(const struct standin *s, enum channel_type type, enum channel_kind kind,
		 uint64_t id, int fd);
/* The stand-in's own messages. */
void standin_order(const struct standin *s, enum standin_type type, int status);
/* The next thing that keeper or stand-in says; fails the test when there is none in wait_ms. */
struct channel_msg standin_hear(const struct standin *s, int wait_ms);
/* Waits until it is dead, and its parent can know. */
void standin_await_end(const struct standin *s, int wait_ms);

#endif
