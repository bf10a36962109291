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

#include "mode.h"
#include "respond.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
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
	CHUNK_MAX = 8 * 1024,
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
	(void)con;
	if (x)
		x->target = strdup(target);
	return x;
}

static void on_completed(void *cls, struct MHD_Connection *con, void **context,
			 enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *context;

	(void)cls;
	(void)con;
	(void)why;
	if (!x)
		return;
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

	if (info && info->header_size > s->options.mode->head_max)
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
		return !s->options.mode->loses_post_body ||
		       strncmp(x->target, "/nacos/v1/ns/", strlen("/nacos/v1/ns/")) != 0;
	return strcmp(method, "PUT") == 0 || strcmp(method, "DELETE") == 0 ||
	       strcmp(method, "PATCH") == 0;
}

static void serve(struct httpd *s, struct MHD_Connection *con, struct exchange *x,
		  const char *method, const char *version, struct api_reply *out)
{
	struct api_request req = {
		.method = method,
		.accept = header(con, MHD_HTTP_HEADER_ACCEPT),
		.user_agent = header(con, MHD_HTTP_HEADER_USER_AGENT),
		.now_ms = store_ms(s),
	};
	char *path = strdup(x->target), *query = path;
	int r = path ? 0 : -ENOMEM;

	req.path = strsep(&query, "?");
	if (r == 0 && query)
		r = formdata_parse(&req.params, query);
	if (r == 0 && x->body.data && takes_body(s, con, x, method))
		r = formdata_parse(&req.params, x->body.data);
	if (r != 0 || x->body.failed)
		respond_html(out, MHD_HTTP_SERVICE_UNAVAILABLE);
	else if (!head_is_legal(s, con, x, version))
		respond_html(out, MHD_HTTP_BAD_REQUEST);
	else
		api_serve(&s->api, &req, out);
	if (out->body.failed)
		respond_html(out, MHD_HTTP_SERVICE_UNAVAILABLE);
	formdata_deinit(&req.params);
	free(path);
}

static ssize_t read_body(void *cls, uint64_t at, char *to, size_t max)
{
	const struct sbuf *body = cls;
	size_t left = body->len - (size_t)at;

	if (!left)
		return MHD_CONTENT_READER_END_OF_STREAM;
	memcpy(to, body->data + at, left < max ? left : max);
	return (ssize_t)(left < max ? left : max);
}

static void free_body(void *cls)
{
	struct sbuf *body = cls;

	sbuf_deinit(body);
	free(body);
}

/* Moves the body into a response of unknown size, which is sent in chunks. */
static struct MHD_Response *chunked_response(struct sbuf *body)
{
	size_t block = body->len < CHUNK_MAX ? body->len + 1 : CHUNK_MAX;
	struct sbuf *moved = malloc(sizeof(*moved));
	struct MHD_Response *response;

	if (!moved)
		return NULL;
	*moved = *body;
	*body = (struct sbuf)SBUF_NULL;
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, read_body, moved,
						     free_body);
	if (!response)
		free_body(moved);
	return response;
}

static struct MHD_Response *fixed_response(struct sbuf *body)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(body->len, body->data,
									MHD_RESPMEM_MUST_FREE);

	if (response)
		*body = (struct sbuf)SBUF_NULL;
	return response;
}

static bool closes(const struct httpd *s, const struct connection *c, int status)
{
	if (s->options.keepalive_requests && c->n_requests >= s->options.keepalive_requests)
		return true;
	return status == MHD_HTTP_BAD_REQUEST || status == MHD_HTTP_INTERNAL_SERVER_ERROR ||
	       status == MHD_HTTP_NOT_IMPLEMENTED || status == MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* The connection headers; keep-alive is only confirmed to those who asked for it. */
static void add_connection(const struct httpd *s, struct MHD_Connection *con,
			   struct MHD_Response *response, bool close_after)
{
	const char *asked = header(con, MHD_HTTP_HEADER_CONNECTION);
	char timeout[32];

	if (close_after) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	} else if (asked && strcasecmp(asked, "keep-alive") == 0) {
		snprintf(timeout, sizeof(timeout), "timeout=%u", s->idle_s);
		MHD_set_response_options(response, MHD_RF_SEND_KEEP_ALIVE_HEADER, MHD_RO_END);
		MHD_add_response_header(response, "Keep-Alive", timeout);
	}
}

static enum MHD_Result send_reply(const struct httpd *s, struct MHD_Connection *con,
				  const struct connection *c, struct api_reply *reply)
{
	struct MHD_Response *response = reply->chunked ? chunked_response(&reply->body)
						       : fixed_response(&reply->body);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	if (reply->type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
	add_connection(s, con, response, closes(s, c, reply->status));
	result = MHD_queue_response(con, (unsigned int)reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static void log_request(struct httpd *s, struct MHD_Connection *con, const struct exchange *x,
			const struct connection *c, const char *method, const struct api_reply *r)
{
	uint64_t now_ms = boottime_ms();
	struct reqlog_line line = {
		.t_ms = now_ms - s->started_ms,
		.boottime_ms = now_ms,
		.connection = c->id,
		.number = c->n_requests,
		.method = method,
		.target = x->target,
		.status = r->status,
		.beat_code = r->beat_code,
		.user_agent = header(con, MHD_HTTP_HEADER_USER_AGENT),
	};

	reqlog_write(&s->log, &line);
}

/* Called with the head, with each piece of a body, and once more when all is there. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *con, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **context)
{
	struct api_reply reply = API_REPLY_NULL;
	struct httpd *s = cls;
	struct exchange *x = *context;
	struct connection *c =
		MHD_get_connection_info(con, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	enum MHD_Result result;

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
	serve(s, con, x, method, version, &reply);
	s->api.stats.requests[reply.kind]++;
	log_request(s, con, x, c, method, &reply);
	result = send_reply(s, con, c, &reply);
	sbuf_deinit(&reply.body);
	return result;
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
	return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, s,
				MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
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
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	s->daemon = NULL;
	reqlog_deinit(&s->log);
	api_deinit(&s->api);
}

/* Milliseconds to sleep: until the library's next time-out or the store's next tick. */
static int sleep_ms(const struct httpd *s, uint64_t next_tick_ms)
{
	MHD_UNSIGNED_LONG_LONG library_ms;
	double ms = INT_MAX;

	if (next_tick_ms != UINT64_MAX)
		ms = ((double)next_tick_ms - (double)store_ms(s)) / s->options.time_scale + 1.0;
	if (MHD_get_timeout(s->daemon, &library_ms) == MHD_YES && (double)library_ms < ms)
		ms = (double)library_ms;
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
		if (MHD_run(s->daemon) != MHD_YES)
			return -EIO;
	}
}
