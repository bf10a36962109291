/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to instances lately
 *
 * A ring of the last EVENTS_KEPT changes, so that somebody who looks after the fact still sees why an instance
 * went. The watcher adds, the control thread reads; a mutex held for one copy is all that they share. Numbers
 * only grow, so a reader that fell behind by more than the ring notices and goes on with the oldest.
 */
#include "control/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct events {
	pthread_mutex_t lock;
	uint64_t newest; /* number of the last one; 0: none yet */
	int event_fd;
	struct event ring[EVENTS_KEPT];
};

int events_new(struct events **out)
{
	struct events *e = calloc(1, sizeof(*e));

	*out = NULL;
	if (!e)
		return -ENOMEM;
	e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->event_fd < 0) {
		int r = -errno;

		free(e);
		return r;
	}
	pthread_mutex_init(&e->lock, NULL);
	*out = e;
	return 0;
}

struct events *events_free(struct events *e)
{
	if (!e)
		return NULL;
	close(e->event_fd);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}

void events_key(const struct descriptor *d, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s/%s@@%s/%s:%u", d->registry, d->namespace_id, d->group,
		 d->service, d->ip, d->port);
}

void events_add(struct events *e, const char *name, const struct descriptor *d, const char *text)
{
	struct event *slot;

	pthread_mutex_lock(&e->lock);
	slot = &e->ring[++e->newest % EVENTS_KEPT];
	slot->number = e->newest;
	clock_gettime(CLOCK_REALTIME, &slot->wall);
	snprintf(slot->name, sizeof(slot->name), "%s", name);
	snprintf(slot->text, sizeof(slot->text), "%s", text);
	slot->key[0] = '\0';
	if (d)
		events_key(d, slot->key, sizeof(slot->key));
	pthread_mutex_unlock(&e->lock);
	(void)eventfd_write(e->event_fd, 1);
}

bool events_next(struct events *e, uint64_t after, struct event *out)
{
	bool found = false;

	pthread_mutex_lock(&e->lock);
	if (e->newest > after) {
		uint64_t oldest = e->newest > EVENTS_KEPT ? e->newest - EVENTS_KEPT + 1 : 1;
		uint64_t wanted = after + 1 > oldest ? after + 1 : oldest;

		*out = e->ring[wanted % EVENTS_KEPT];
		found = true;
	}
	pthread_mutex_unlock(&e->lock);
	return found;
}

int events_fd(struct events *e)
{
	return e->event_fd;
}

void events_drain_event(struct events *e)
{
	eventfd_t n;

	(void)eventfd_read(e->event_fd, &n);
}
