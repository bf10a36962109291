/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP server
 *
 * libmicrohttpd does the protocol; exchange.c makes it behave as the container of an official
 * server does: a connection carries a hundred requests and the last reply says so, replies 400,
 * 500, 501 and 503 close it and drop what was pipelined behind, idle ones are closed after 60
 * seconds, JSON comes in chunks. What the library refuses by itself (a malformed request line, a
 * head beyond its pool) is answered by it, closes the connection and is not logged; and it always
 * sends a reason phrase.
 *
 * One thread: the library's epoll descriptor of each node and the stop descriptor are polled
 * together, with the stores' next expiry as the time-out. So nothing needs a lock.
 *
 * The clock of the store is CLOCK_BOOTTIME since the start times the time scale: expiry, its
 * ticks and the idle time-out (in whole seconds, at least one) run faster, while every interval
 * on the wire stays as it is. Whoever scales time gives his instances a
 * preserved.heart.beat.interval that keeps up: below 15000 / scale.
 */
#include "httpd.h"

#include "exchange.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	IDLE_S = 60
};

uint64_t httpd_boottime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t httpd_ms(const struct httpd *s)
{
	return (uint64_t)((double)(httpd_boottime_ms() - s->started_ms) * s->options.time_scale);
}

static int start_nodes(struct httpd *s, char *error, size_t error_size)
{
	int r = tls_init(&s->tls, &s->options.tls, error, error_size);

	s->cluster.n_members = s->options.n_nodes;
	for (unsigned int i = 0; i < s->cluster.n_members && r == 0; i++)
		r = node_init(&s->nodes[i], s, i, error, error_size);
	return r;
}

int httpd_init(struct httpd *s, const struct httpd_options *options, char *error, size_t error_size)
{
	double idle_s = IDLE_S / options->time_scale;
	int r = 0;

	*s = (struct httpd){ .options = *options,
			     .log = REQLOG_NULL,
			     .endpoint = ENDPOINT_NULL,
			     .started_ms = httpd_boottime_ms() };
	TAILQ_INIT(&s->waiting);
	s->idle_s = idle_s < 1.0 ? 1 : (unsigned int)idle_s;
	if (options->log_path && (r = reqlog_init(&s->log, options->log_path)) != 0)
		snprintf(error, error_size, "cannot start: --log: cannot write \"%s\": %s",
			 options->log_path, strerror(-r));
	else
		r = start_nodes(s, error, error_size);
	if (r != 0)
		httpd_deinit(s);
	return r;
}

void httpd_deinit(struct httpd *s)
{
	for (unsigned int i = 0; i < s->cluster.n_members; i++)
		node_deinit(&s->nodes[i]);
	fault_clear(&s->faults);
	endpoint_deinit(&s->endpoint);
	tls_deinit(&s->tls);
	reqlog_deinit(&s->log);
}

/* Milliseconds until a time of the stores' clock. */
static double ms_until(const struct httpd *s, uint64_t at_ms)
{
	return ((double)at_ms - (double)httpd_ms(s)) / s->options.time_scale + 1.0;
}

/* Milliseconds to sleep: until the next time-out of the library, the next tick of a store or the
 * next reply that waits. Stores do what is due. */
static int sleep_ms(struct httpd *s)
{
	MHD_UNSIGNED_LONG_LONG library_ms;
	double ms = exchange_next_ms(s);
	uint64_t tick_ms;

	for (unsigned int i = 0; i < s->cluster.n_members; i++) {
		struct node *n = &s->nodes[i];

		if (!node_runs(n))
			continue;
		tick_ms = store_tick(&n->api.store, httpd_ms(s));
		if (tick_ms != UINT64_MAX && ms_until(s, tick_ms) < ms)
			ms = ms_until(s, tick_ms);
		if (MHD_get_timeout(n->daemon, &library_ms) == MHD_YES && (double)library_ms < ms)
			ms = (double)library_ms;
	}
	return ms < 0.0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

/* The descriptors of the nodes that run, behind the one at 0. */
static nfds_t fill_fds(struct httpd *s, struct pollfd *fds)
{
	const union MHD_DaemonInfo *info;
	nfds_t n_fds = 1;

	for (unsigned int i = 0; i < s->cluster.n_members; i++) {
		if (!node_runs(&s->nodes[i]))
			continue;
		info = MHD_get_daemon_info(s->nodes[i].daemon, MHD_DAEMON_INFO_EPOLL_FD);
		fds[n_fds++] = (struct pollfd){ .fd = info->epoll_fd, .events = POLLIN };
	}
	return n_fds;
}

int httpd_run(struct httpd *s, int stop_fd)
{
	struct pollfd fds[1 + CLUSTER_MAX] = { { .fd = stop_fd, .events = POLLIN } };
	int ms;

	for (;;) {
		ms = sleep_ms(s);
		if (poll(fds, fill_fds(s, fds), ms) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents)
			return 0;
		exchange_resume_due(s);
		for (unsigned int i = 0; i < s->cluster.n_members; i++)
			if (node_runs(&s->nodes[i]) && MHD_run(s->nodes[i].daemon) != MHD_YES)
				return -EIO;
	}
}
