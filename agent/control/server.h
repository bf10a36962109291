/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_SERVER_H
#define CONTROL_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "beat/dom2beat.h"
#include "control/events.h"
#include "control/reload.h"
#include "http/sender.h"
#include "segment/watcher.h"

struct server;

struct server_options {
	int listen_fd; /* control.sock, listening; the server's from server_new() on */
	int keeper_fd; /* the channel: who asks for an upgrade is handed over there */
	struct watcher *watcher;
	struct sender *sender;
	struct dom2beat *map;
	struct events *events;
	const struct reload_options *reload; /* NULL: it cannot reload */
	uint64_t started_ms;                 /* CLOCK_BOOTTIME */
	pid_t keeper_pid;
	uint32_t n_restarts;
};

/* Serves control.h's requests in the calling thread, which must be registered with liburcu, until server_stop(). */
int server_new(struct server **out, const struct server_options *options);
struct server *server_free(struct server *s);
void server_run(struct server *s);
void server_stop(struct server *s); /* any thread */
/* Any thread: reads the configuration anew some time, with nobody who waits for the outcome. */
void server_reload(struct server *s);

#endif
