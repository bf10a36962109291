/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/loop.h"
#include <onebeat/control.h>

#define CLIENTS_MAX 64u /* tools at a time; one more ends the oldest of the user who has most */
#define CLIENT_IDLE_MS 10000u /* without a whole request, or without reading the answer */

/* One tool's connection. */
struct client {
	TAILQ_ENTRY(client) link;
	struct clients *all;
	int fd;
	uid_t uid;
	uint64_t watch;
	uint64_t moved_ms; /* something was read from it or taken by it last */
	struct onebeat_control_request request;
	size_t n_request;
	char *out;
	size_t n_out, n_written;
	bool follows;    /* events: goes on after the answer */
	bool leaves;     /* waits for the watcher's word on its LEAVE */
	uint64_t number; /* of the last event that it got */
};

TAILQ_HEAD(client_list, client);

struct clients {
	struct client_list list; /* the oldest first */
	uint32_t n;
	struct loop *loop;
	void *owner;
};

void clients_init(struct clients *all, struct loop *loop, void *owner);
void clients_deinit(struct clients *all);
/* A connection that has come (consumed): fn gets its events, with the client. False: it was closed. */
bool client_new(struct clients *all, int fd, loop_fn fn);
void client_close(struct client *c);

/* Queues text (malloc'ed, consumed) to be written. False: there is too much already, or memory is out. */
bool client_queue(struct client *c, char *text, size_t n);
/* Writes what the tool takes; closes when all is said. */
void client_flush(struct client *c);

/* Ends those that have stood still for too long. When to call again; CLOCK_NEVER: nobody waits. */
uint64_t clients_end_idle(struct clients *all, uint64_t now_ms);

#endif
