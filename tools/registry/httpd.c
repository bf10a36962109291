/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP server
 *
 * libmicrohttpd does the protocol; this file makes it behave as the container of an official
 * server does: a connection carries a hundred requests and the last reply says so, replies 400,
 * 500, 501 and 503 close it and drop what was pipelined behind, idle ones are closed after 60
 * seconds, JSON comes in chunks. What the library refuses by itself (a malformed request line, a
 * head beyond its pool) is answered by it, closes the connection and is not logged; and it always
 * sends a reason phrase.
 *
 * One thread: the library's epoll descriptor and the stop descriptor are polled together, with
 * the store's next expiry as the time-out. So nothing needs a lock.
 *
 * The clock of the store is CLOCK_BOOTTIME since the start times the time scale: expiry, its
 * ticks and the idle time-out (in whole seconds, at least one) run faster, while every interval
 * on the wire stays as it is. Whoever scales time gives his instances a
 * preserved.heart.beat.interval that keeps up: below 15000 / scale.
 */
#include "httpd.h"

#include "admin.h"
#include "mode.h"
#include "respond.h"
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	IDLE_S = 60,
	MAX_CONNECTIONS = 8192,
	BODY_MAX = 2 * 1024 * 1024, /* larger forms are not parsed, as in the container */
	POOL = 64 * 1024, /* of each connection, cleared for each request; its head must fit */
};

struct connection {
	uint64_t id;
	unsigned int n_requests;
};

/* One request from its first line to its reply's last byte. */
struct exchange {
	char *target; /* as sent */
	struct sbuf body;
	bool begun;
	bool body_too_large;
	struct fault_hit fault;
	struct api_reply reply;
	bool answered; /* the reply is made; it may wait */
	bool waits;
	uint64_t due_ms; /* of the boot's clock */
	struct MHD_Connection *con;
	TAILQ_ENTRY(exchange) link; /* of those that wait, by due_ms */
};

static uint64_t boottime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t store_ms(const struct httpd *s)
{
	return (uint64_t)((double)(boottime_ms() - s->started_ms) * s->options.time_scale);
}

static void on_connection(void *cls, struct MHD_Connection *con, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct httpd *s = cls;
	struct api_stats *st = &s->api.stats;
	struct connection *c;

	(void)con;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		st->connections_open--;
		free(*context);
		return;
	}
	st->connections_total++;
	if (++st->connections_open > st->connections_peak)
		st->connections_peak = st->connections_open;
	c = calloc(1, sizeof(*c));
	if (c)
		c->id = st->connections_total;
	*context = c;
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *con)
{
	struct exchange *x = calloc(1, sizeof(*x));

	(void)cls;
	if (x) {
		x->con = con;
		x->reply = (struct api_reply)API_REPLY_NULL;
		x->target = strdup(target);
	}
	return x;
}

static void on_completed(void *cls, struct MHD_Connection *con, void **context,
			 enum MHD_RequestTerminationCode why)
{
	struct httpd *s = cls;
	struct exchange *x = *context;

	if (!x)
		return;
	if (x->waits)
		TAILQ_REMOVE(&s->waiting, x, link);
	if (x->fault.kind == FAULT_RESET_AFTER && why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		send_reset(con);
	fault_hit_deinit(&x->fault);
	sbuf_deinit(&x->reply.body);
	sbuf_deinit(&x->body);
	free(x->target);
	free(x);
	*context = NULL;
}

static const char *header(struct MHD_Connection *con, const char *name)
{
	return MHD_lookup_connection_value(con, MHD_HEADER_KIND, name);
}

/* Bytes that the container refuses in a request target. */
static bool target_is_legal(const char *target)
{
	for (const unsigned char *s = (const unsigned char *)target; *s; s++)
		if (*s <= ' ' || *s >= 0x7f || strchr("\"<>[\\]^`{|}", *s))
			return false;
	return true;
}

/* What the container refuses before anybody else sees it. */
static bool head_is_legal(const struct httpd *s, struct MHD_Connection *con,
			  const struct exchange *x, const char *version)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		con, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	if (info && info->header_size > s->api.mode->head_max)
		return false;
	if (strcmp(version, MHD_HTTP_VERSION_1_1) == 0 && !header(con, MHD_HTTP_HEADER_HOST))
		return false;
	return target_is_legal(x->target);
}

/* Whether the body holds parameters: a form, not under GET, not lost on the way. */
static bool takes_body(const struct httpd *s, struct MHD_Connection *con, const struct exchange *x,
		       const char *method)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const char *type = header(con, MHD_HTTP_HEADER_CONTENT_TYPE);

	if (!type || strncasecmp(type, form, strlen(form)) != 0 || x->body_too_large)
		return false;
	if (strcmp(method, "POST") == 0)
		return !s->api.mode->loses_post_body ||
		       strncmp(x->target, "/nacos/v1/ns/", strlen("/nacos/v1/ns/")) != 0;
	return strcmp(method, "PUT") == 0 || strcmp(method, "DELETE") == 0 ||
	       strcmp(method, "PATCH") == 0;
}

static bool is_for_admin(const struct exchange *x)
{
	return strncmp(x->target, ADMIN_PATH, strlen(ADMIN_PATH)) == 0;
}

static bool is_from_loopback(struct MHD_Connection *con)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		con, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *peer = info ? info->client_addr : NULL;

	if (peer && peer->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)peer)->sin_addr.s_addr) >> 24 == 127;
	return peer && peer->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)peer)->sin6_addr);
}

/* Does what the request asks for; or what a fault does in its place. */
static void carry_out(struct httpd *s, struct MHD_Connection *con, struct exchange *x,
		      struct api_request *req, const char *version)
{
	struct api_reply *out = &x->reply;

	if (!head_is_legal(s, con, x, version))
		respond_html(out, MHD_HTTP_BAD_REQUEST);
	else if (!is_for_admin(x) && x->fault.kind != FAULT_NONE && x->fault.kind < FAULT_DELAY)
		fault_reply(&x->fault, req, out);
	else if (!is_for_admin(x))
		api_serve(&s->api, req, out);
	else if (!is_from_loopback(con))
		respond_html(out, MHD_HTTP_FORBIDDEN);
	else
		admin_serve(s, req, x->body.data, out);
}

static void serve(struct httpd *s, struct MHD_Connection *con, struct exchange *x,
		  const char *method, const char *version)
{
	struct api_request req = {
		.method = method,
		.accept = header(con, MHD_HTTP_HEADER_ACCEPT),
		.user_agent = header(con, MHD_HTTP_HEADER_USER_AGENT),
		.now_ms = store_ms(s),
	};
	struct api_reply *out = &x->reply;
	char *path = strdup(x->target), *query = path;
	int r = path ? 0 : -ENOMEM;

	req.path = strsep(&query, "?");
	if (r == 0 && query)
		r = formdata_parse(&req.params, query);
	if (r == 0 && x->body.data && !is_for_admin(x) && takes_body(s, con, x, method))
		r = formdata_parse(&req.params, x->body.data);
	if (r != 0 || x->body.failed)
		respond_html(out, MHD_HTTP_SERVICE_UNAVAILABLE);
	else
		carry_out(s, con, x, &req, version);
	if (out->body.failed)
		respond_html(out, MHD_HTTP_SERVICE_UNAVAILABLE);
	formdata_deinit(&req.params);
	free(path);
}

static bool closes(const struct httpd *s, const struct connection *c, int status)
{
	if (s->options.keepalive_requests && c->n_requests >= s->options.keepalive_requests)
		return true;
	return status == MHD_HTTP_BAD_REQUEST || status == MHD_HTTP_INTERNAL_SERVER_ERROR ||
	       status == MHD_HTTP_NOT_IMPLEMENTED || status == MHD_HTTP_SERVICE_UNAVAILABLE;
}

static void log_request(struct httpd *s, struct MHD_Connection *con, const struct exchange *x,
			const struct connection *c, const char *method)
{
	uint64_t now_ms = boottime_ms();
	struct reqlog_line line = {
		.t_ms = now_ms - s->started_ms,
		.boottime_ms = now_ms,
		.connection = c->id,
		.number = c->n_requests,
		.method = method,
		.target = x->target,
		.status = x->reply.status,
		.beat_code = x->reply.beat_code,
		.user_agent = header(con, MHD_HTTP_HEADER_USER_AGENT),
		.fault = x->fault.kind == FAULT_NONE ? NULL : fault_name(x->fault.kind),
	};

	reqlog_write(&s->log, &line);
}

/* Makes the reply, once: what is counted and logged is what was asked, not when it is sent. The
 * admin page is no part of what is played, so it is neither. */
static void answer(struct httpd *s, struct MHD_Connection *con, struct exchange *x,
		   const struct connection *c, const char *method, const char *version)
{
	x->answered = true;
	if (is_for_admin(x)) {
		serve(s, con, x, method, version);
		return;
	}
	x->fault = fault_take(&s->faults, 0, method, x->target);
	if (x->fault.kind != FAULT_RESET_BEFORE)
		serve(s, con, x, method, version);
	s->api.stats.requests[x->reply.kind]++;
	log_request(s, con, x, c, method);
}

/* Takes the connection out of the library's hands until the reply is due. */
static void wait_until_due(struct httpd *s, struct exchange *x, unsigned int ms)
{
	struct exchange *before;

	x->waits = true;
	x->due_ms = boottime_ms() + ms;
	before = TAILQ_LAST(&s->waiting, exchanges);
	while (before && before->due_ms > x->due_ms)
		before = TAILQ_PREV(before, exchanges, link);
	if (before)
		TAILQ_INSERT_AFTER(&s->waiting, before, x, link);
	else
		TAILQ_INSERT_HEAD(&s->waiting, x, link);
	MHD_suspend_connection(x->con);
}

static void resume(struct httpd *s, struct exchange *x)
{
	TAILQ_REMOVE(&s->waiting, x, link);
	x->waits = false;
	MHD_resume_connection(x->con);
}

/* What has waited long enough goes on: the library asks for it once more. */
static void resume_due(struct httpd *s)
{
	struct exchange *x;

	while ((x = TAILQ_FIRST(&s->waiting)) != NULL && x->due_ms <= boottime_ms())
		resume(s, x);
}

static enum MHD_Result send_answer(struct httpd *s, struct exchange *x, const struct connection *c)
{
	struct send_how how = {
		.close = closes(s, c, x->reply.status),
		.half = x->fault.kind == FAULT_HALF,
		.idle_s = s->idle_s,
	};

	if (x->fault.kind == FAULT_RESET_BEFORE || x->fault.kind == FAULT_LOST) {
		send_reset(x->con);
		return MHD_NO;
	}
	return send_reply(x->con, &x->reply, &how);
}

/* Called with the head, with each piece of a body, once more when all is there, and again when a
 * reply has waited. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *con, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct httpd *s = cls;
	struct exchange *x = *context;
	struct connection *c =
		MHD_get_connection_info(con, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	(void)url;
	if (!c || !x || !x->target)
		return MHD_NO; /* no memory: closes the connection */
	if (!x->begun) {
		x->begun = true;
		c->n_requests++;
		return MHD_YES;
	}
	if (*upload_size) {
		x->body_too_large |= x->body.len + *upload_size > BODY_MAX;
		if (!x->body_too_large)
			sbuf_bytes(&x->body, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (!x->answered) {
		answer(s, con, x, c, method, version);
		if (x->fault.ms) {
			wait_until_due(s, x, x->fault.ms);
			return MHD_YES;
		}
	}
	return send_answer(s, x, c);
}

/* As many connections as the process may have; the library stops accepting before that. */
static unsigned int connection_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 512;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max < MAX_CONNECTIONS + 64 ? (unsigned int)limit.rlim_max / 2
						     : MAX_CONNECTIONS;
}

static struct MHD_Daemon *start_daemon(struct httpd *s, int listen_fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
				s, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
				connection_limit(), MHD_OPTION_CONNECTION_TIMEOUT, s->idle_s,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL,
				MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
				MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
}

int httpd_init(struct httpd *s, int listen_fd, const struct httpd_options *options, char *error,
	       size_t error_size)
{
	double idle_s = IDLE_S / options->time_scale;
	int r;

	*s = (struct httpd){ .options = *options, .log = REQLOG_NULL, .started_ms = boottime_ms() };
	TAILQ_INIT(&s->waiting);
	s->idle_s = idle_s < 1.0 ? 1 : (unsigned int)idle_s;
	r = api_init(&s->api, options->mode, options->time_scale);
	if (r != 0) {
		snprintf(error, error_size, "out of memory");
	} else if (options->log_path && (r = reqlog_init(&s->log, options->log_path)) != 0) {
		snprintf(error, error_size, "--log: cannot write \"%s\": %s", options->log_path,
			 strerror(-r));
	} else {
		s->daemon = start_daemon(s, listen_fd);
		r = s->daemon ? 0 : -EIO;
		if (r != 0)
			snprintf(error, error_size, "the HTTP server does not start");
	}
	if (r != 0)
		httpd_deinit(s);
	return r;
}

void httpd_deinit(struct httpd *s)
{
	while (!TAILQ_EMPTY(&s->waiting)) /* the library stops with none suspended only */
		resume(s, TAILQ_FIRST(&s->waiting));
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	s->daemon = NULL;
	fault_clear(&s->faults);
	reqlog_deinit(&s->log);
	api_deinit(&s->api);
}

/* Milliseconds to sleep: until the library's next time-out, the store's next tick or the next
 * reply that waits. */
static int sleep_ms(const struct httpd *s, uint64_t next_tick_ms)
{
	const struct exchange *waits = TAILQ_FIRST(&s->waiting);
	MHD_UNSIGNED_LONG_LONG library_ms;
	uint64_t now_ms = boottime_ms();
	double ms = INT_MAX;

	if (next_tick_ms != UINT64_MAX)
		ms = ((double)next_tick_ms - (double)store_ms(s)) / s->options.time_scale + 1.0;
	if (MHD_get_timeout(s->daemon, &library_ms) == MHD_YES && (double)library_ms < ms)
		ms = (double)library_ms;
	if (waits && (double)waits->due_ms - (double)now_ms < ms)
		ms = (double)waits->due_ms - (double)now_ms;
	return ms < 0.0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

int httpd_run(struct httpd *s, int stop_fd)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[] = {
		{ .fd = info->epoll_fd, .events = POLLIN },
		{ .fd = stop_fd, .events = POLLIN },
	};

	for (;;) {
		uint64_t next_tick_ms = store_tick(&s->api.store, store_ms(s));

		if (poll(fds, 2, sleep_ms(s, next_tick_ms)) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			return 0;
		resume_due(s);
		if (MHD_run(s->daemon) != MHD_YES)
			return -EIO;
	}
}
