/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket
 *
 * One thread, one loop, any number of tools. A connection brings one request, gets lines of JSON and is closed.
 * An answer is built in memory and written as the tool reads it, so that a tool that stops reading holds up
 * nobody; an events follower that lets more than OUT_MAX pile up is dropped.
 *
 * Who may ask what is the kernel's word (SO_PEERCRED): the socket's mode lets owner and group read; stopping and
 * leaving are for root and the agent's own uid.
 */
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/calls.h"
#include "base/channel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "control/answer.h"
#include "control/client.h"
#include "control/config_key.h"
#include <onebeat/control.h>

#define LEAVE_MS 10000u

struct server {
	struct server_options options;
	struct loop loop;
	struct clients clients;
	struct calls calls;
	uint64_t listen_watch, calls_watch, events_watch;
	bool running;
	int spare_fd; /* given up for a moment to turn away whom we have no descriptor for */
	/* The watcher's word on LEAVE, handed over by an eventfd. */
	int left_fd;
	uint64_t left_watch;
	_Atomic uint32_t n_deregistered, n_failed;
};

static struct server *server_of(const struct client *c)
{
	return c->all->owner;
}

typedef void (*write_fn)(FILE *out, struct client *c, const void *arg);

/* Builds an answer with fn and begins to send it. */
static void client_say(struct client *c, write_fn fn, const void *arg)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	bool failed;

	if (!out) {
		client_close(c);
		return;
	}
	fn(out, c, arg);
	failed = ferror(out) != 0;
	failed = fclose(out) != 0 || failed;
	if (failed) {
		free(text);
		client_close(c);
	} else if (!client_queue(c, text, n)) {
		client_close(c);
	} else {
		client_flush(c);
	}
}

static void say_error(FILE *out, struct client *c, const void *text)
{
	(void)c;
	answer_end(out, text);
}

static void say_list(FILE *out, struct client *c, const void *arg)
{
	(void)arg;
	answer_list(out, &server_of(c)->options);
	answer_end(out, NULL);
}

static void say_status(FILE *out, struct client *c, const void *arg)
{
	(void)arg;
	answer_status(out, &server_of(c)->options);
	answer_end(out, NULL);
}

static void say_pong(FILE *out, struct client *c, const void *arg)
{
	(void)c;
	(void)arg;
	fprintf(out, "{\"pong\":true,\"pid\":%d}\n", (int)getpid());
	answer_end(out, NULL);
}

static void say_events(FILE *out, struct client *c, const void *arg)
{
	struct event event;

	(void)arg;
	while (events_next(server_of(c)->options.events, c->number, &event)) {
		c->number = event.number;
		answer_event(out, &event);
	}
}

static void say_left(FILE *out, struct client *c, const void *arg)
{
	uint32_t n_failed = server_of(c)->n_failed;

	(void)arg;
	c->leaves = false;
	fprintf(out, "{\"deregistered\":%u,\"failed\":%u}\n", server_of(c)->n_deregistered,
		n_failed);
	answer_end(
		out,
		n_failed
			? "not every instance could be deregistered: the registry's time-out removes the rest"
			: NULL);
}

static void stop_watcher(void *owner, void *ctx)
{
	(void)ctx;
	watcher_stop(owner);
}

static void watcher_has_left(void *ctx, uint32_t n_deregistered, uint32_t n_failed)
{
	struct server *s = ctx;

	s->n_deregistered = n_deregistered;
	s->n_failed = n_failed;
	(void)eventfd_write(s->left_fd, 1);
}

static void start_leaving(void *owner, void *ctx)
{
	watcher_leave(owner, LEAVE_MS, watcher_has_left, ctx);
}

static bool may_change(const struct client *c)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 &&
	       (cred.uid == 0 || cred.uid == geteuid());
}

static void change(struct client *c, enum onebeat_control_verb verb)
{
	struct server *s = server_of(c);

	if (!may_change(c)) {
		client_say(c, say_error, "only root and the agent's own user may stop it");
		return;
	}
	log_info("control", "verb=%s", verb == ONEBEAT_CONTROL_LEAVE ? "leave" : "stop");
	if (verb == ONEBEAT_CONTROL_LEAVE) {
		c->leaves = true;
		(void)calls_do(watcher_calls(s->options.watcher), start_leaving, s);
		return;
	}
	client_say(c, say_error, NULL);
	(void)calls_do(watcher_calls(s->options.watcher), stop_watcher, NULL);
}

static bool is_leaving(const struct server *s)
{
	const struct client *c;

	TAILQ_FOREACH(c, &s->clients.list, link)
	{
		if (c->leaves)
			return true;
	}
	return false;
}

/* We shall not be there when it is done: the keeper answers, on the tool's connection. */
static void upgrade(struct client *c)
{
	const struct channel_msg msg = { .version = CHANNEL_VERSION, .type = CHANNEL_UPGRADE };
	int r;

	if (!may_change(c)) {
		client_say(c, say_error, "only root and the agent's own user may upgrade it");
		return;
	}
	if (is_leaving(server_of(c))) {
		client_say(c, say_error, "the agent is leaving: there is nothing to upgrade");
		return;
	}
	log_info("control", "verb=upgrade");
	r = channel_send(server_of(c)->options.keeper_fd, &msg, c->fd);
	if (r < 0)
		client_say(c, say_error, "the keeper could not be told");
	else
		client_close(c);
}

/* tool_fd -1: SIGHUP. 0, or negative with a sentence. */
static int begin_reload(struct server *s, int tool_fd, char error[CONFIG_ERROR_MAX])
{
	int r;

	if (is_leaving(s))
		r = config_fail(error, "the agent is leaving");
	else if (!s->options.reload)
		r = config_fail(error, "this agent has no configuration to read anew");
	else
		r = reload_begin(s->options.reload, tool_fd, error);
	if (r < 0)
		log_error("reload.refused", "error=%s next=\"nothing has changed\"", LOG_Q(error));
	return r;
}

/* As with an upgrade, the keeper answers. */
static void reload(struct client *c)
{
	char error[CONFIG_ERROR_MAX] = "";

	if (!may_change(c)) {
		client_say(c, say_error, "only root and the agent's own user may reload it");
		return;
	}
	log_info("control", "verb=reload");
	if (begin_reload(server_of(c), c->fd, error) < 0)
		client_say(c, say_error, error);
	else
		client_close(c);
}

static void reload_now(void *owner, void *ctx)
{
	char error[CONFIG_ERROR_MAX] = "";

	(void)ctx;
	(void)begin_reload(owner, -1, error);
}

void server_reload(struct server *s)
{
	calls_post(&s->calls, reload_now, NULL);
}

static void serve(struct client *c)
{
	const struct onebeat_control_request *r = &c->request;

	if (r->magic != ONEBEAT_CONTROL_MAGIC || r->version != ONEBEAT_CONTROL_VERSION ||
	    r->flags != 0) {
		client_say(
			c, say_error,
			"the tool speaks another version of the control protocol than the agent");
		return;
	}
	switch (r->verb) {
	case ONEBEAT_CONTROL_LIST:
		client_say(c, say_list, NULL);
		break;
	case ONEBEAT_CONTROL_STATUS:
		client_say(c, say_status, NULL);
		break;
	case ONEBEAT_CONTROL_PING:
		client_say(c, say_pong, NULL);
		break;
	case ONEBEAT_CONTROL_EVENTS:
		c->follows = true;
		client_say(c, say_events, NULL);
		break;
	case ONEBEAT_CONTROL_LEAVE:
	case ONEBEAT_CONTROL_STOP:
		change(c, (enum onebeat_control_verb)r->verb);
		break;
	case ONEBEAT_CONTROL_UPGRADE:
		upgrade(c);
		break;
	case ONEBEAT_CONTROL_RELOAD:
		reload(c);
		break;
	default:
		client_say(c, say_error, "the agent does not know this request");
	}
}

static void on_client(void *ctx, uint32_t events)
{
	struct client *c = ctx;
	ssize_t n;

	if (events & EPOLLOUT) {
		client_flush(c);
		return;
	}
	if (c->n_request == sizeof(c->request)) {
		char extra;

		/* Nothing more is expected: the end, or a tool that talks too much. */
		if (recv(c->fd, &extra, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
			client_close(c);
		return;
	}
	n = recv(c->fd, (char *)&c->request + c->n_request, sizeof(c->request) - c->n_request,
		 MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	c->n_request += (size_t)n;
	c->moved_ms = clock_now_ms();
	if (c->n_request == sizeof(c->request))
		serve(c);
}

/* Level-triggered epoll would spin on a connection that is never accepted. */
static void turn_away(struct server *s)
{
	close_fdp(&s->spare_fd);
	close(accept4(s->options.listen_fd, NULL, NULL, SOCK_CLOEXEC));
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_warning("control.full", "error=%s next=\"a tool was turned away\"",
		    LOG_Q(strerror(EMFILE)));
}

static void on_listen(void *ctx, uint32_t events)
{
	struct server *s = ctx;
	int fd = accept4(s->options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away(s);
		return;
	}
	(void)client_new(&s->clients, fd, on_client);
}

/* Calls fn for each client that wants it; fn may close it. */
static void each(struct server *s, bool (*wants)(const struct client *c), write_fn fn)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&s->clients.list); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (wants(c))
			client_say(c, fn, NULL);
	}
}

static bool wants_events(const struct client *c)
{
	return c->follows;
}

static bool wants_left(const struct client *c)
{
	return c->leaves;
}

static void on_events(void *ctx, uint32_t events)
{
	struct server *s = ctx;

	(void)events;
	events_drain_event(s->options.events);
	each(s, wants_events, say_events);
}

static void on_left(void *ctx, uint32_t events)
{
	struct server *s = ctx;
	eventfd_t n;

	(void)events;
	if (eventfd_read(s->left_fd, &n) == 0)
		each(s, wants_left, say_left);
}

static void on_calls(void *ctx, uint32_t events)
{
	struct server *s = ctx;

	(void)events;
	calls_run(&s->calls, s);
}

static int prepare(struct server *s)
{
	int r = loop_init(&s->loop);

	if (r == 0)
		r = calls_init(&s->calls);
	s->left_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r == 0 && s->left_fd < 0)
		r = -errno;
	if (r == 0)
		r = loop_add(&s->loop, s->options.listen_fd, EPOLLIN, on_listen, s,
			     &s->listen_watch);
	if (r == 0)
		r = loop_add(&s->loop, s->calls.event_fd, EPOLLIN, on_calls, s, &s->calls_watch);
	if (r == 0)
		r = loop_add(&s->loop, events_fd(s->options.events), EPOLLIN, on_events, s,
			     &s->events_watch);
	if (r == 0)
		r = loop_add(&s->loop, s->left_fd, EPOLLIN, on_left, s, &s->left_watch);
	return r;
}

int server_new(struct server **out, const struct server_options *options)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->options = *options;
	s->loop = (struct loop)LOOP_NULL;
	s->calls.event_fd = -1;
	s->left_fd = -1;
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->running = true;
	clients_init(&s->clients, &s->loop, s);
	r = prepare(s);
	if (r < 0)
		s = server_free(s);
	*out = s;
	return r;
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	clients_deinit(&s->clients);
	if (s->left_fd >= 0)
		close(s->left_fd);
	close_fdp(&s->spare_fd);
	calls_deinit(&s->calls);
	loop_deinit(&s->loop);
	free(s);
	return NULL;
}

void server_run(struct server *s)
{
	while (s->running) {
		uint64_t now_ms = clock_now_ms();
		int r = loop_turn(&s->loop,
				  clock_wait_ms(now_ms, clients_end_idle(&s->clients, now_ms)));

		if (r < 0) {
			log_error("control.loop", "error=%s", LOG_Q(strerror(-r)));
			break;
		}
	}
	calls_end(&s->calls);
}

static void stop_now(void *owner, void *ctx)
{
	struct server *s = owner;

	(void)ctx;
	on_left(s, 0); /* the last words before the end */
	s->running = false;
}

void server_stop(struct server *s)
{
	(void)calls_do(&s->calls, stop_now, NULL);
}
