/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tools' connections
 *
 * A connection brings one request, gets lines of JSON and is closed. What was built for it waits in memory until the
 * tool has read it, so whoever asks and does not read, asks half, or asks nothing, costs a descriptor and memory:
 * he has CLIENT_IDLE_MS. There are CLIENTS_MAX at a time. When another comes, the oldest connection of the user
 * who has most of them makes room, so that a flood of one member of the group bars neither root nor other members.
 *
 * Control thread only.
 */
#include "control/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define OUT_MAX (1u << 20) /* of events that a follower has not read */

void clients_init(struct clients *all, struct loop *loop, void *owner)
{
	*all = (struct clients){ .loop = loop, .owner = owner };
	TAILQ_INIT(&all->list);
}

void clients_deinit(struct clients *all)
{
	while (!TAILQ_EMPTY(&all->list))
		client_close(TAILQ_FIRST(&all->list));
}

void client_close(struct client *c)
{
	loop_remove(c->all->loop, &c->watch, c->fd);
	close(c->fd);
	TAILQ_REMOVE(&c->all->list, c, link);
	c->all->n--;
	free(c->out);
	free(c);
}

static uint32_t count_of(const struct clients *all, uid_t uid)
{
	const struct client *c;
	uint32_t n = 0;

	TAILQ_FOREACH(c, &all->list, link)
	n += c->uid == uid;
	return n;
}

/* LEAVE has been asked and must be answered: that one stays. */
static void make_room(struct clients *all)
{
	struct client *c, *victim = NULL;
	uint32_t most = 0;

	TAILQ_FOREACH(c, &all->list, link)
	{
		uint32_t n = c->leaves ? 0 : count_of(all, c->uid);

		if (n > most) {
			most = n;
			victim = c;
		}
	}
	if (!victim)
		return;
	log_warning("control.full", "uid=%u connections=%u next=\"its oldest is closed\"",
		    victim->uid, most);
	client_close(victim);
}

bool client_new(struct clients *all, int fd, loop_fn fn)
{
	struct client *c = calloc(1, sizeof(*c));
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t n = sizeof(cred);

	if (!c || loop_add(all->loop, fd, EPOLLIN, fn, c, &c->watch) < 0) {
		free(c);
		close(fd);
		return false;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n);
	if (all->n >= CLIENTS_MAX)
		make_room(all);
	c->all = all;
	c->fd = fd;
	c->uid = cred.uid;
	c->moved_ms = clock_now_ms();
	TAILQ_INSERT_TAIL(&all->list, c, link);
	all->n++;
	return true;
}

bool client_queue(struct client *c, char *text, size_t n)
{
	char *all;

	if (c->n_out == c->n_written) {
		free(c->out);
		c->out = text;
		c->n_out = n;
		c->n_written = 0;
		return true;
	}
	all = c->follows && c->n_out - c->n_written > OUT_MAX ? NULL
							      : realloc(c->out, c->n_out + n);
	if (all) {
		memcpy(all + c->n_out, text, n);
		c->out = all;
		c->n_out += n;
	}
	free(text);
	return all != NULL;
}

void client_flush(struct client *c)
{
	while (c->n_written < c->n_out) {
		ssize_t n = send(c->fd, c->out + c->n_written, c->n_out - c->n_written,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			(void)loop_modify(c->all->loop, c->watch, c->fd, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			client_close(c);
			return;
		}
		c->n_written += (size_t)n;
		c->moved_ms = clock_now_ms();
	}
	if (!c->follows && !c->leaves)
		client_close(c);
	else
		(void)loop_modify(c->all->loop, c->watch, c->fd, EPOLLIN);
}

/* A follower that has read all there is waits for events, as long as it likes. */
static bool may_stay(const struct client *c)
{
	return c->leaves || (c->follows && c->n_written == c->n_out);
}

uint64_t clients_end_idle(struct clients *all, uint64_t now_ms)
{
	uint64_t due_ms = CLOCK_NEVER;
	struct client *c, *next;

	for (c = TAILQ_FIRST(&all->list); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (may_stay(c))
			continue;
		if (now_ms - c->moved_ms >= CLIENT_IDLE_MS) {
			log_info("control.idle", "uid=%u next=\"closed\"", c->uid);
			client_close(c);
		} else if (c->moved_ms + CLIENT_IDLE_MS < due_ms) {
			due_ms = c->moved_ms + CLIENT_IDLE_MS;
		}
	}
	return due_ms;
}
