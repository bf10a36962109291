/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its reply
 *
 * From the library's callbacks to the API and back. A reply is made when its request is there;
 * it may then wait (for a fault, for a slow node, for a forward that nobody answers), and its
 * connection with it. An exchange belongs to the library's request, a connection to its socket.
 */
#include "exchange.h"

#include "admin.h"
#include "auth.h"
#include "forward.h"
#include "httpd.h"
#include "mode.h"
#include "respond.h"
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	BODY_MAX = 2 * 1024 * 1024 /* larger forms are not parsed, as in the container */
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
	struct node *node;
	struct forward_note forward;
	TAILQ_ENTRY(exchange) link; /* of those that wait, by due_ms */
};

void exchange_on_connection(void *cls, struct MHD_Connection *con, void **context,
			    enum MHD_ConnectionNotificationCode what)
{
	struct node *n = cls;
	struct api_stats *st = &n->api.stats;
	struct connection *c;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		st->connections_open--;
		free(*context);
		return;
	}
	tls_demand_certificate(&n->httpd->tls, con);
	st->connections_total++;
	if (++st->connections_open > st->connections_peak)
		st->connections_peak = st->connections_open;
	c = calloc(1, sizeof(*c));
	if (c)
		c->id = ++n->httpd->n_connections;
	*context = c;
}

void *exchange_on_target(void *cls, const char *target, struct MHD_Connection *con)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x) {
		x->con = con;
		x->node = cls;
		x->forward.to = -1;
		x->reply = (struct api_reply)API_REPLY_NULL;
		x->target = strdup(target);
	}
	return x;
}

void exchange_on_completed(void *cls, struct MHD_Connection *con, void **context,
			   enum MHD_RequestTerminationCode why)
{
	struct node *n = cls;
	struct exchange *x = *context;

	if (!x)
		return;
	if (x->waits)
		TAILQ_REMOVE(&n->httpd->waiting, x, link);
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
static bool head_is_legal(struct MHD_Connection *con, const struct exchange *x, const char *version)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		con, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	if (info && info->header_size > x->node->api.mode->head_max)
		return false;
	if (strcmp(version, MHD_HTTP_VERSION_1_1) == 0 && !header(con, MHD_HTTP_HEADER_HOST))
		return false;
	return target_is_legal(x->target);
}

/* Whether the body holds parameters: a form, not under GET, not lost on the way. The filter that
 * looks for a token happens to save it. */
static bool takes_body(struct MHD_Connection *con, const struct exchange *x, const char *method)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const char *type = header(con, MHD_HTTP_HEADER_CONTENT_TYPE);

	if (!type || strncasecmp(type, form, strlen(form)) != 0 || x->body_too_large)
		return false;
	if (strcmp(method, "POST") == 0)
		return !x->node->api.mode->loses_post_body || x->node->api.auth->on ||
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

	if (!head_is_legal(con, x, version))
		respond_html(out, MHD_HTTP_BAD_REQUEST);
	else if (!is_for_admin(x) && x->fault.kind != FAULT_NONE && x->fault.kind < FAULT_DELAY)
		fault_reply(&x->fault, req, out);
	else if (strcmp(req->path, ENDPOINT_PATH) == 0)
		endpoint_serve(&s->endpoint, &s->cluster, req, out);
	else if (!is_for_admin(x))
		x->forward = forward_serve(s, x->node->index, req, out);
	else if (!is_from_loopback(con))
		respond_html(out, MHD_HTTP_FORBIDDEN);
	else
		admin_serve(x->node, req, x->body.data, out);
}

static void serve(struct httpd *s, struct MHD_Connection *con, struct exchange *x,
		  const char *method, const char *version)
{
	struct api_request req = {
		.method = method,
		.accept = header(con, MHD_HTTP_HEADER_ACCEPT),
		.user_agent = header(con, MHD_HTTP_HEADER_USER_AGENT),
		.authorization = header(con, MHD_HTTP_HEADER_AUTHORIZATION),
		.access_token = header(con, "accessToken"),
		.identity = header(con, s->options.auth->identity_name),
		.now_ms = httpd_ms(s),
	};
	struct api_reply *out = &x->reply;
	char *path = strdup(x->target), *query = path;
	int r = path ? 0 : -ENOMEM;

	req.path = strsep(&query, "?");
	if (r == 0 && query)
		r = formdata_parse(&req.params, query);
	if (r == 0 && x->body.data && !is_for_admin(x) && takes_body(con, x, method))
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
	uint64_t now_ms = httpd_boottime_ms();
	struct reqlog_line line = {
		.t_ms = now_ms - s->started_ms,
		.boottime_ms = now_ms,
		.connection = c->id,
		.number = c->n_requests,
		.method = method,
		.target = x->target,
		.status = x->reply.status,
		.beat_code = x->reply.beat_code,
		.authorization = header(con, MHD_HTTP_HEADER_AUTHORIZATION) != NULL,
		.user_agent = header(con, MHD_HTTP_HEADER_USER_AGENT),
		.node = (int)x->node->index,
		.forwarded_to = x->forward.to,
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
	x->fault = fault_take(&s->faults, (int)x->node->index, method, x->target);
	if (x->fault.kind != FAULT_RESET_BEFORE)
		serve(s, con, x, method, version);
	x->node->api.stats.requests[x->reply.kind]++;
	log_request(s, con, x, c, method);
}

/* Takes the connection out of the library's hands until the reply is due. */
static void wait_until_due(struct httpd *s, struct exchange *x, unsigned int ms)
{
	struct exchange *before;

	x->waits = true;
	x->due_ms = httpd_boottime_ms() + ms;
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

double exchange_next_ms(const struct httpd *s)
{
	const struct exchange *x = TAILQ_FIRST(&s->waiting);

	return x ? (double)x->due_ms - (double)httpd_boottime_ms() : INT_MAX;
}

void exchange_resume_all(struct node *n)
{
	struct exchange *x, *next;

	for (x = TAILQ_FIRST(&n->httpd->waiting); x; x = next) {
		next = TAILQ_NEXT(x, link);
		if (x->node == n)
			resume(n->httpd, x);
	}
}

/* What has waited long enough goes on: the library asks for it once more. */
void exchange_resume_due(struct httpd *s)
{
	struct exchange *x;

	while ((x = TAILQ_FIRST(&s->waiting)) != NULL && x->due_ms <= httpd_boottime_ms())
		resume(s, x);
}

static enum MHD_Result send_answer(struct httpd *s, struct exchange *x, const struct connection *c)
{
	struct send_how how = {
		.close = closes(s, c, x->reply.status),
		.half = x->fault.kind == FAULT_HALF,
		.split = x->fault.kind == FAULT_SPLIT,
		.idle_s = s->idle_s,
	};

	if (x->fault.kind == FAULT_RESET_BEFORE || x->fault.kind == FAULT_LOST) {
		send_reset(x->con);
		return MHD_NO;
	}
	return send_reply(x->con, &x->reply, &how);
}

/* How long a reply waits: for its fault, for the forward, for a node that is slow. */
static unsigned int delay_ms(const struct httpd *s, const struct exchange *x)
{
	double ms = (double)x->forward.wait_ms;

	if (!is_for_admin(x))
		ms += (double)s->cluster.members[x->node->index].slow_ms;
	return x->fault.ms + (unsigned int)(ms / s->options.time_scale + 0.5);
}

/* Called with the head, with each piece of a body, once more when all is there, and again when a
 * reply has waited. */
enum MHD_Result exchange_on_request(void *cls, struct MHD_Connection *con, const char *url,
				    const char *method, const char *version, const char *upload,
				    size_t *upload_size, void **context)
{
	struct httpd *s = ((struct node *)cls)->httpd;
	struct exchange *x = *context;
	struct connection *c =
		MHD_get_connection_info(con, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	unsigned int wait_ms;

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
		wait_ms = delay_ms(s, x);
		if (wait_ms) {
			wait_until_due(s, x, wait_ms);
			return MHD_YES;
		}
	}
	return send_answer(s, x, c);
}
