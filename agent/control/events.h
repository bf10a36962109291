/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_EVENTS_H
#define CONTROL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/descriptor.h"

#define EVENTS_KEPT 1024u

/* One change of an instance's public state, as tools show it. */
struct event {
	uint64_t number; /* counts from 1 */
	struct timespec wall;
	char name[16]; /* "up", "down", "refused", "gone", ... */
	char key[512]; /* registry/namespace/group@@service/ip:port; cut when longer */
	char text[128];
};

struct events;

int events_new(struct events **out);
struct events *events_free(struct events *e);
/* Any thread. d may be NULL. Never blocks for long, never fails: the oldest is forgotten. */
void events_add(struct events *e, const char *name, const struct descriptor *d, const char *text);
/* The oldest kept event with a number > after; false when there is none. Any thread. */
bool events_next(struct events *e, uint64_t after, struct event *out);
/* Readable (an eventfd) when something was added since the last events_drain_event(). */
int events_fd(struct events *e);
void events_drain_event(struct events *e);
/* "registry/namespace/group@@service/ip:port" */
void events_key(const struct descriptor *d, char *buf, size_t size);

#endif
