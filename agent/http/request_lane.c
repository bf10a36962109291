/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request lane: whatever is rare, by whole libcurl transfers
 *
 * Every node has n_connections easy handles, made once with everything that does not change; a
 * request sets its method and CURLOPT_REQUEST_TARGET. A handle in use is a connection in use, so
 * libcurl never queues (it is bad at that) and its pool keeps one connection for each handle. The
 * queue is ours: owners in turn, of each DELETE first, then in the order of submission.
 *
 * A request goes to any healthy node with an idle handle, from a random start; when every node is
 * suspect, to the one that is to be tried next. After a transport failure or a 5xx it is bound to
 * another node, healthy ones first, until it has asked each once. The last word wins, except that
 * silence beats an earlier 5xx (the silent node may yet carry the request out) and a 5xx beats a
 * node that took nothing.
 *
 * A request counts as sent when libcurl has written a byte of it, on whatever connection: libcurl
 * itself repeats one whose kept connection turns out to be closed.
 *
 * Nothing starts in submit; done is called from a tick or the loop's events. One thread.
 */
#include "http/request_lane.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/curl_glue.h"
#include "http/health.h"
#include "http/refusal.h"
#include "http/request_handle.h"
#include "http/request_queue.h"

struct request_node {
	struct request_handle *handles;
	uint32_t n_handles;         /* 0: it was never used */
	struct request_queue bound; /* requests that go here next */
};

struct request_lane {
	struct http_nodes *nodes;
	struct request_node *at; /* HTTP_NODES_MAX: one for each that nodes may have */
	uint32_t n_connections;
	http_done_fn done;
	void *ctx;
	struct curl_glue glue;
	uint32_t connect_ms;
	uint32_t total_ms;
	struct request_queue queue;
	struct request_queue homed; /* they go to one node first, when nothing holds them */
	uint32_t backlog;
	bool submitted; /* the next tick has something to begin */
	bool held;      /* what has asked nobody yet waits */
};

static void on_transfer_end(void *ctx, CURL *easy, CURLcode code);

static int node_init(struct request_lane *lane, uint32_t node)
{
	struct request_node *at = &lane->at[node];
	int r = 0;

	request_queue_init(&at->bound);
	at->handles = calloc(lane->n_connections, sizeof(*at->handles));
	if (!at->handles)
		return -ENOMEM;
	while (at->n_handles < lane->n_connections && r == 0)
		r = request_handle_init(&at->handles[at->n_handles++], &lane->glue, lane->nodes,
					node);
	curl_multi_setopt(lane->glue.multi, CURLMOPT_MAXCONNECTS,
			  (long)(lane->nodes->n_nodes * lane->n_connections));
	return r;
}

static void node_deinit(struct request_lane *lane, struct request_node *at)
{
	if (!at->handles)
		return;
	for (uint32_t i = 0; i < at->n_handles; i++)
		request_handle_deinit(&at->handles[i], &lane->glue);
	free(at->handles);
	request_queue_deinit(&at->bound);
	*at = (struct request_node){ 0 };
}

static int lane_init(struct request_lane *lane, struct loop *loop)
{
	int r = curl_glue_init(&lane->glue, loop, on_transfer_end, lane);

	if (r < 0)
		return r;
	lane->at = calloc(HTTP_NODES_MAX, sizeof(*lane->at));
	if (!lane->at)
		return -ENOMEM;
	for (uint32_t i = 0; i < lane->nodes->n_nodes && r == 0; i++)
		r = node_init(lane, i);
	return r;
}

int request_lane_new(struct request_lane **out, struct loop *loop, struct http_nodes *nodes,
		     uint32_t n_connections, http_done_fn done, void *ctx)
{
	struct request_lane *lane = calloc(1, sizeof(*lane));
	int r;

	assert(n_connections > 0);
	*out = NULL;
	if (!lane)
		return -ENOMEM;
	lane->nodes = nodes;
	lane->n_connections = n_connections;
	lane->done = done;
	lane->ctx = ctx;
	lane->connect_ms = HTTP_CONNECT_MS;
	lane->total_ms = HTTP_TOTAL_MS;
	request_queue_init(&lane->queue);
	request_queue_init(&lane->homed);
	r = lane_init(lane, loop);
	if (r < 0) {
		request_lane_free(lane);
		return r;
	}
	*out = lane;
	return 0;
}

struct request_lane *request_lane_free(struct request_lane *lane)
{
	if (!lane)
		return NULL;
	for (uint32_t i = 0; lane->at && i < lane->nodes->n_nodes; i++)
		node_deinit(lane, &lane->at[i]);
	free(lane->at);
	request_queue_deinit(&lane->queue);
	request_queue_deinit(&lane->homed);
	curl_glue_deinit(&lane->glue);
	free(lane);
	return NULL;
}

int request_lane_add_node(struct request_lane *lane, uint32_t node)
{
	int r;

	assert(!request_lane_uses(lane, node));
	node_deinit(lane, &lane->at[node]);
	r = node_init(lane, node);
	if (r < 0)
		node_deinit(lane, &lane->at[node]);
	return r;
}

bool request_lane_uses(const struct request_lane *lane, uint32_t node)
{
	const struct request_node *at = &lane->at[node];

	for (uint32_t i = 0; i < at->n_handles; i++) {
		if (at->handles[i].request)
			return true;
	}
	return at->handles && !request_queue_empty(&at->bound);
}

void request_lane_list_changed(struct request_lane *lane)
{
	lane->submitted = true;
}

void request_lane_set_timeouts(struct request_lane *lane, uint32_t connect_ms, uint32_t total_ms)
{
	lane->connect_ms = connect_ms;
	lane->total_ms = total_ms;
}

void request_lane_hold(struct request_lane *lane, bool held)
{
	lane->submitted = lane->submitted || (lane->held && !held);
	lane->held = held;
}

int request_lane_submit(struct request_lane *lane, enum http_method method, const char *target,
			uint32_t owner, void *tag, uint32_t serial)
{
	return request_lane_submit_to(lane, method, target, owner, tag, serial, HTTP_NOWHERE);
}

int request_lane_submit_to(struct request_lane *lane, enum http_method method, const char *target,
			   uint32_t owner, void *tag, uint32_t serial, uint32_t home)
{
	struct request *request = request_queue_new(method, target, owner, tag, serial);

	if (!request)
		return -ENOMEM;
	request->node = home == HTTP_NOWHERE ? 0 : home;
	request_queue_push(home == HTTP_NOWHERE ? &lane->queue : &lane->homed, request);
	lane->backlog++;
	lane->submitted = true;
	return 0;
}

static void finish(struct request_lane *lane, struct request *request,
		   const struct http_result *result)
{
	lane->backlog--;
	lane->done(lane->ctx, request->tag, request->serial, result);
	request_queue_free(request);
}

static void finish_answered(struct request_lane *lane, struct request *request, int status,
			    uint32_t node, const char *body, size_t n_body)
{
	struct http_result result = {
		.end = HTTP_ANSWERED,
		.status = status,
		.body = body,
		.n_body = n_body,
		.node = http_nodes_name(lane->nodes, node),
		.why = "",
		.n_tried = http_round_count(&request->round),
		.lost = request->lost,
	};

	finish(lane, request, &result);
}

static void finish_unanswered(struct request_lane *lane, struct request *request, const char *why)
{
	const struct refusal *refusal = request->refusal;
	struct http_result result = {
		.end = request->lost ? HTTP_LOST : HTTP_UNSENT,
		.body = "",
		.node = http_nodes_name(lane->nodes, request->node),
		.why = why,
		.n_tried = http_round_count(&request->round),
		.lost = request->lost,
	};

	if (refusal && !request->lost)
		finish_answered(lane, request, refusal->status, refusal->node, refusal->body,
				refusal->n_body);
	else
		finish(lane, request, &result);
}

static bool next_node(struct request_lane *lane, const struct request *request, uint32_t *node)
{
	*node = request->node;
	return http_nodes_next(lane->nodes, &request->round, CLOCK_NEVER, node);
}

static void bind_to(struct request_lane *lane, struct request *request, uint32_t node)
{
	request->node = node;
	request_queue_push(&lane->at[node].bound, request);
}

static void go_on(struct request_lane *lane, struct request *request, const char *why)
{
	uint32_t node;

	if (next_node(lane, request, &node))
		bind_to(lane, request, node);
	else
		finish_unanswered(lane, request, why);
}

/* The node has failed: what waits for it may have a better one to ask. */
static void divert(struct request_lane *lane, uint32_t node)
{
	struct request_queue waiting;
	struct request *request;

	request_queue_init(&waiting);
	request_queue_move(&waiting, &lane->at[node].bound);
	while ((request = request_queue_pop(&waiting)) != NULL)
		go_on(lane, request, http_nodes_why(lane->nodes, node));
}

static void transfer_answered(struct request_lane *lane, struct request *request,
			      const struct request_handle_result *result)
{
	uint32_t asked = request->node;
	uint32_t node;

	health_answered(lane->nodes, asked);
	if (result->status >= 500 && next_node(lane, request, &node)) {
		refusal_free(request->refusal);
		request->refusal = refusal_new(result->status, asked, result->body, result->n_body);
		if (request->refusal) {
			bind_to(lane, request, node);
			return;
		}
	}
	finish_answered(lane, request, result->status, asked, result->body, result->n_body);
}

static void transfer_failed(struct request_lane *lane, struct request *request,
			    const struct request_handle_result *result)
{
	uint32_t asked = request->node;

	if (result->sent)
		request->lost = true;
	health_failed(lane->nodes, asked, clock_now_ms(), result->why);
	go_on(lane, request, result->why);
	divert(lane, asked);
}

/* Gives a request to an idle handle. */
static void begin(struct request_lane *lane, struct request_handle *handle, struct request *request)
{
	http_round_add(&request->round, handle->node);
	request->node = handle->node;
	if (request_handle_begin(handle, &lane->glue, request, lane->connect_ms, lane->total_ms) ==
	    0)
		return;
	go_on(lane, request, "out of memory");
	lane->submitted = true; /* it may wait elsewhere now, with no transfer's end to wake it */
}

static struct request_handle *idle_handle(const struct request_lane *lane, uint32_t node)
{
	for (uint32_t i = 0; i < lane->at[node].n_handles; i++) {
		if (!lane->at[node].handles[i].request)
			return &lane->at[node].handles[i];
	}
	return NULL;
}

/* An idle handle for a request that has asked nobody yet; NULL: it must wait. */
static struct request_handle *any_handle(struct request_lane *lane)
{
	uint32_t start = http_nodes_start(lane->nodes);
	bool none_healthy = lane->nodes->nodes[start].retry_ms != 0;

	for (uint32_t i = 0; i < lane->nodes->n_nodes; i++) {
		uint32_t node = (start + i) % lane->nodes->n_nodes;
		struct request_handle *handle = idle_handle(lane, node);

		if (handle && !lane->nodes->nodes[node].out &&
		    (none_healthy || lane->nodes->nodes[node].retry_ms == 0))
			return handle;
	}
	return NULL;
}

static void dispatch_bound(struct request_lane *lane, uint32_t node)
{
	struct request_handle *handle;
	struct request *request;

	if (!lane->at[node].handles)
		return;
	if (lane->nodes->nodes[node].out && !request_queue_empty(&lane->at[node].bound)) {
		divert(lane, node);
		lane->submitted =
			true; /* they wait elsewhere now, with no transfer's end to wake them */
	}
	while ((handle = idle_handle(lane, node)) &&
	       (request = request_queue_pop(&lane->at[node].bound)))
		begin(lane, handle, request);
}

/* To the node that does the work itself, while it is well; else they are like all others. */
static void send_home(struct request_lane *lane)
{
	struct request *request;

	while (!lane->held && (request = request_queue_pop(&lane->homed)) != NULL) {
		const struct http_node *home = &lane->nodes->nodes[request->node];

		if (!home->out && home->retry_ms == 0 && lane->at[request->node].handles)
			bind_to(lane, request, request->node);
		else
			request_queue_push(&lane->queue, request);
	}
}

static void dispatch(struct request_lane *lane)
{
	struct request_handle *handle;

	send_home(lane);
	for (uint32_t node = 0; node < lane->nodes->n_nodes; node++)
		dispatch_bound(lane, node);
	while (!lane->held && !request_queue_empty(&lane->queue) && (handle = any_handle(lane)))
		begin(lane, handle, request_queue_pop(&lane->queue));
	/* Nobody waits for a list: the sender knows best when to try again. */
	while (!request_queue_empty(&lane->queue) && lane->nodes->n_in == 0)
		finish_unanswered(lane, request_queue_pop(&lane->queue),
				  http_nodes_why(lane->nodes, 0));
}

static void on_transfer_end(void *ctx, CURL *easy, CURLcode code)
{
	struct request_lane *lane = ctx;
	struct request_handle_result result;
	struct request *request = request_handle_end(request_handle_of(easy), &lane->glue, code,
						     &result);

	if (code == CURLE_OK)
		transfer_answered(lane, request, &result);
	else
		transfer_failed(lane, request, &result);
	dispatch(lane);
}

void request_lane_tick(struct request_lane *lane, uint64_t now_ms)
{
	curl_glue_tick(&lane->glue, now_ms);
	if (lane->submitted) {
		lane->submitted = false;
		dispatch(lane);
	}
}

uint64_t request_lane_due_ms(const struct request_lane *lane)
{
	return lane->submitted ? 0 : curl_glue_due_ms(&lane->glue);
}

uint32_t request_lane_backlog(const struct request_lane *lane)
{
	return lane->backlog;
}
