/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scripted byte server
 *
 * Plays what real servers do and HTTP libraries will not: half replies, odd splits, resets,
 * silence, garbage. One thread with one poll loop plays every connection, so that the order of
 * events is that of the scripts; what the tests look at is under a lock.
 *
 * A test counts connections, so an end that the client made is always seen before a connection that
 * it made later: before each accept every open one is looked at.
 */
#include "lib/byteserver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define CONNECTIONS_MAX 64u
#define INPUT_STEP 65536u

struct connection {
	int fd; /* -1: free */
	uint32_t index;
	uint32_t n_requests;
	const struct byteserver_step *script;
	const struct byteserver_step *step;
	uint32_t n_again;
	size_t n_sent;   /* of the current step's text */
	uint64_t due_ms; /* the current step goes on then; 0: at once */
	bool blocked;    /* the socket takes no more */
	char *input;
	size_t n_input;
	size_t size_input;
	size_t n_looked; /* of the input: no end of a head is in there */
};

struct byteserver {
	int listener;
	int wake;
	uint16_t port;
	char url[64];
	pthread_t thread;
	bool running;
	const struct byteserver_step *const *scripts;
	uint32_t n_scripts;
	struct connection connections[CONNECTIONS_MAX];

	pthread_mutex_t lock; /* for what follows */
	bool stop;
	struct byteserver_request *requests;
	uint32_t n_requests;
	uint32_t n_accepted;
	uint32_t n_open;
	uint32_t max_open;
};

static void end_connection(struct byteserver *server, struct connection *c)
{
	close(c->fd);
	c->fd = -1;
	free(c->input);
	c->input = NULL;
	c->size_input = 0;
	pthread_mutex_lock(&server->lock);
	server->n_open--;
	pthread_mutex_unlock(&server->lock);
}

static void reset_connection(struct byteserver *server, struct connection *c)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	end_connection(server, c);
}

static void reserve_input(struct connection *c)
{
	if (c->size_input - c->n_input >= INPUT_STEP)
		return;
	c->size_input = 2 * c->size_input + INPUT_STEP;
	c->input = realloc(c->input, c->size_input);
	if (!c->input)
		abort();
}

/* Reads what is there. False when the connection has ended. */
static bool take_input(struct byteserver *server, struct connection *c)
{
	ssize_t n;

	reserve_input(c);
	n = recv(c->fd, c->input + c->n_input, c->size_input - c->n_input, MSG_DONTWAIT);
	if (n > 0) {
		c->n_input += (size_t)n;
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	end_connection(server, c);
	return false;
}

static void record(struct byteserver *server, struct connection *c, size_t n_head)
{
	struct byteserver_request *requests;
	struct byteserver_request *r;

	pthread_mutex_lock(&server->lock);
	requests = reallocarray(server->requests, server->n_requests + 1, sizeof(*requests));
	if (!requests)
		abort();
	server->requests = requests;
	r = &requests[server->n_requests++];
	*r = (struct byteserver_request){ .connection = c->index, .number = c->n_requests++ };
	snprintf(r->head, sizeof(r->head), "%.*s", (int)n_head, c->input);
	if (sscanf(r->head, "%7s %255s", r->method, r->target) != 2)
		r->method[0] = '\0';
	pthread_mutex_unlock(&server->lock);
}

/* True when a whole head was there, and is taken out of the input. */
static bool take_request(struct byteserver *server, struct connection *c)
{
	static const char blank[] = "\r\n\r\n";
	const size_t n_blank = sizeof(blank) - 1;
	const char *end = NULL;
	size_t n_head;

	if (c->n_input - c->n_looked >= n_blank)
		end = memmem(c->input + c->n_looked, c->n_input - c->n_looked, blank, n_blank);
	if (!end)
		c->n_looked = c->n_input < n_blank ? 0 : c->n_input - n_blank;
	if (!end)
		return false;
	n_head = (size_t)(end - c->input) + n_blank;
	record(server, c, n_head);
	memmove(c->input, c->input + n_head, c->n_input - n_head);
	c->n_input -= n_head;
	c->n_looked = 0;
	return true;
}

/* True when the whole text is out. */
static bool send_text(struct connection *c)
{
	const struct byteserver_step *step = c->step;
	size_t n = step->n ? step->n : strlen(step->text);
	size_t n_left = n - c->n_sent;
	ssize_t sent;

	if (step->split > 0 && n_left > step->split)
		n_left = step->split;
	sent = send(c->fd, step->text + c->n_sent, n_left, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0) {
		c->blocked = true; /* full; or gone, which the next read will tell */
		return false;
	}
	c->n_sent += (size_t)sent;
	if (c->n_sent == n) {
		c->n_sent = 0;
		return true;
	}
	if (step->split > 0)
		c->due_ms = clock_now_ms() + (step->ms ? step->ms : 1);
	return false;
}

/* True when the time of a BYTESERVER_WAIT is over. */
static bool wait_over(struct connection *c)
{
	if (c->due_ms == 0) {
		c->due_ms = clock_now_ms() + c->step->ms;
		return false;
	}
	c->due_ms = 0;
	return true;
}

static void again(struct connection *c)
{
	c->n_again++;
	if (c->step->n == 0 || c->n_again < c->step->n)
		c->step = c->script;
	else
		c->step++;
}

/* Plays one step. True when there is another to play now. */
static bool play_step(struct byteserver *server, struct connection *c)
{
	bool over = false;

	switch (c->step->act) {
	case BYTESERVER_END:
		return false;
	case BYTESERVER_EXPECT:
		over = take_request(server, c);
		break;
	case BYTESERVER_SEND:
		c->due_ms = 0;
		over = send_text(c);
		if (!over)
			return !c->blocked && c->due_ms == 0;
		break;
	case BYTESERVER_WAIT:
		over = wait_over(c);
		break;
	case BYTESERVER_CLOSE:
		end_connection(server, c);
		return false;
	case BYTESERVER_RESET:
		reset_connection(server, c);
		return false;
	case BYTESERVER_AGAIN:
		again(c);
		return true;
	}
	if (over)
		c->step++;
	return over;
}

static void play(struct byteserver *server, struct connection *c)
{
	while (c->fd >= 0 && c->due_ms <= clock_now_ms() && play_step(server, c))
		;
}

static void sweep(struct byteserver *server)
{
	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (server->connections[i].fd >= 0)
			take_input(server, &server->connections[i]);
	}
}

static void accept_one(struct byteserver *server)
{
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *c = server->connections;
	int one = 1;

	if (fd < 0)
		return;
	sweep(server);
	while (c < server->connections + CONNECTIONS_MAX && c->fd >= 0)
		c++;
	if (c == server->connections + CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*c = (struct connection){ .fd = fd };
	pthread_mutex_lock(&server->lock);
	c->index = server->n_accepted++;
	if (++server->n_open > server->max_open)
		server->max_open = server->n_open;
	pthread_mutex_unlock(&server->lock);
	c->script = server->scripts[c->index < server->n_scripts ? c->index : server->n_scripts - 1];
	c->step = c->script;
	play(server, c);
}

static bool stopping(struct byteserver *server)
{
	bool stop;

	pthread_mutex_lock(&server->lock);
	stop = server->stop;
	pthread_mutex_unlock(&server->lock);
	return stop;
}

static void *serve(void *ctx)
{
	struct byteserver *server = ctx;
	struct pollfd fds[CONNECTIONS_MAX + 2];

	while (!stopping(server)) {
		uint64_t due_ms = CLOCK_NEVER;

		fds[0] = (struct pollfd){ .fd = server->listener, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = server->wake, .events = POLLIN };
		for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
			struct connection *c = &server->connections[i];

			fds[i + 2] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
			if (c->fd >= 0 && c->blocked)
				fds[i + 2].events |= POLLOUT;
			if (c->fd >= 0 && c->due_ms != 0 && c->due_ms < due_ms)
				due_ms = c->due_ms;
		}
		poll(fds, CONNECTIONS_MAX + 2, clock_wait_ms(clock_now_ms(), due_ms));
		for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
			struct connection *c = &server->connections[i];

			c->blocked = false;
			if (c->fd < 0 || (fds[i + 2].revents & (POLLIN | POLLHUP | POLLERR) &&
					  !take_input(server, c)))
				continue;
			play(server, c);
		}
		if (fds[0].revents)
			accept_one(server);
	}
	return NULL;
}

/* Bound to the server's port (0: any), and not listening. -1 on failure. */
static int bind_port(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

struct byteserver *byteserver_new(void)
{
	struct byteserver *server = calloc(1, sizeof(*server));
	struct sockaddr_in address;
	socklen_t size = sizeof(address);

	if (!server)
		return NULL;
	pthread_mutex_init(&server->lock, NULL);
	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
		server->connections[i].fd = -1;
	server->wake = eventfd(0, EFD_CLOEXEC);
	server->listener = bind_port(0);
	if (server->wake < 0 || server->listener < 0 ||
	    getsockname(server->listener, (struct sockaddr *)&address, &size) < 0)
		return byteserver_free(server);
	server->port = ntohs(address.sin_port);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u", server->port);
	return server;
}

struct byteserver *byteserver_free(struct byteserver *server)
{
	if (!server)
		return NULL;
	byteserver_stop(server);
	if (server->listener >= 0)
		close(server->listener);
	if (server->wake >= 0)
		close(server->wake);
	pthread_mutex_destroy(&server->lock);
	free(server->requests);
	free(server);
	return NULL;
}

const char *byteserver_url(const struct byteserver *server)
{
	return server->url;
}

bool byteserver_start(struct byteserver *server, const struct byteserver_step *const *scripts,
		      uint32_t n_scripts)
{
	server->scripts = scripts;
	server->n_scripts = n_scripts;
	server->stop = false;
	if (listen(server->listener, 128) < 0)
		return false;
	server->running = pthread_create(&server->thread, NULL, serve, server) == 0;
	return server->running;
}

bool byteserver_stop(struct byteserver *server)
{
	uint64_t count = 1;

	if (!server->running)
		return true;
	pthread_mutex_lock(&server->lock);
	server->stop = true;
	pthread_mutex_unlock(&server->lock);
	if (write(server->wake, &count, sizeof(count)) < 0 ||
	    pthread_join(server->thread, NULL) != 0)
		return false;
	if (read(server->wake, &count, sizeof(count)) < 0)
		return false;
	server->running = false;
	/* Reset, so that no half-open rest is left of what a test has stopped. */
	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (server->connections[i].fd >= 0)
			reset_connection(server, &server->connections[i]);
	}
	close(server->listener);
	server->listener = bind_port(server->port);
	return server->listener >= 0;
}

uint32_t byteserver_n_requests(struct byteserver *server)
{
	uint32_t n;

	pthread_mutex_lock(&server->lock);
	n = server->n_requests;
	pthread_mutex_unlock(&server->lock);
	return n;
}

uint32_t byteserver_n_connections(struct byteserver *server)
{
	uint32_t n;

	pthread_mutex_lock(&server->lock);
	n = server->n_accepted;
	pthread_mutex_unlock(&server->lock);
	return n;
}

uint32_t byteserver_max_open(struct byteserver *server)
{
	uint32_t n;

	pthread_mutex_lock(&server->lock);
	n = server->max_open;
	pthread_mutex_unlock(&server->lock);
	return n;
}

bool byteserver_request(struct byteserver *server, uint32_t i, struct byteserver_request *out)
{
	bool found;

	pthread_mutex_lock(&server->lock);
	found = i < server->n_requests;
	if (found)
		*out = server->requests[i];
	pthread_mutex_unlock(&server->lock);
	return found;
}
