/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One registry: its servers and the two lanes to them
 *
 * The sender drives several of these with one wheel and one loop. Nothing here ever waits, and what one registry
 * has under way or in its queues is in its own lanes, so one that is slow or gone takes nothing from another but
 * the turns of the thread.
 *
 * All nodes together get what the configuration allows one: whichever way requests are routed, and however the
 * nodes forward them to each other, no node gets more.
 *
 * A signature is good for one request, so a beat that is signed is rendered each time.
 *
 * Rendering reads the instance's dom2Beat node under rcu_read_lock(). The sender's thread only.
 */
#include "http/registry.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "beat/dom2beat.h"

#define CONNECTIONS_DEFAULT 1u
#define HEADERS_ABOUT 512u       /* what stands round a target in a head, without the token */
#define LINE_END " HTTP/1.1\r\n" /* of what nacos_beat_line() renders */
/*
 * Registrations a second that a registry which lost its instances gets at most, however many nodes it has: 50,000
 * are back within the 15 s after which they would be missed. A beat costs a server less, and those of a host that
 * slept must not wait for a whole period.
 */
#define POSTS_PER_SECOND 4000u
#define BEATS_FOR_A_POST 3u

static uint32_t or_default(uint32_t value, uint32_t by_default)
{
	return value ? value : by_default;
}

static void set_timeouts(struct registry *r)
{
	struct beat_timeouts beats = BEAT_TIMEOUTS_DEFAULT;
	uint32_t connect_ms = or_default(r->options.connect_timeout_ms, HTTP_CONNECT_MS);
	uint32_t total_ms = or_default(r->options.request_timeout_ms, HTTP_TOTAL_MS);

	beats.connect_ms = connect_ms;
	beats.total_ms = total_ms;
	if (beats.attempt_ms > total_ms)
		beats.attempt_ms = total_ms;
	beat_lane_set_timeouts(r->beats, &beats);
	request_lane_set_timeouts(r->requests, connect_ms, total_ms);
}

static void set_pace(struct registry *r)
{
	uint32_t per_second = or_default(r->options.pace_per_second, POSTS_PER_SECOND);

	pace_set(&r->posts, per_second);
	pace_set(&r->late_beats, per_second * BEATS_FOR_A_POST);
}

/* Requests wait while a login is on its way. */
static void hold_or_let_go(struct registry *r, uint64_t now_ms)
{
	request_lane_hold(r->requests, access_holds(&r->access, now_ms));
}

static int init_access(struct registry *r, struct loop *loop)
{
	const struct access_options options = {
		.registry = r->options.name,
		.api = &r->api,
		.link = &r->link,
		.connect_ms = or_default(r->options.connect_timeout_ms, HTTP_CONNECT_MS),
		.total_ms = or_default(r->options.request_timeout_ms, HTTP_TOTAL_MS),
	};

	r->link = (struct https_link){ .tls = &r->options.tls, .proxy = r->options.proxy };
	r->nodes.link = &r->link;
	if (r->options.tls.no_verify)
		log_warning("registry.tls",
			    "registry=%s problem=\"tls_verify = no: any server is believed\"",
			    r->options.name);
	return access_init(&r->access, &options, loop, &r->nodes);
}

/* What an end says of the nodes, beside what it says to who asked. */
static void note_end(struct registry *r, const struct http_result *result)
{
	if (result->end != HTTP_ANSWERED || result->status >= 500 || result->n_tried > 1)
		route_trouble(&r->route, clock_now_ms());
}

static void on_write(void *ctx, void *tag, uint32_t serial, const struct http_result *result)
{
	struct registry *r = ctx;

	if (tag == &r->route) {
		route_told(&r->route, result, clock_now_ms());
		return;
	}
	note_end(r, result);
	r->ends.write_done(r->ends.ctx, tag, serial, result);
}

static void on_beat(void *ctx, void *tag, uint32_t serial, const struct http_result *result)
{
	struct registry *r = ctx;

	note_end(r, result);
	r->ends.beat_done(r->ends.ctx, tag, serial, result);
}

static void on_list(void *ctx)
{
	struct registry *r = ctx;

	route_list_changed(&r->route);
}

int registry_init(struct registry *r, const struct sender_registry_options *options,
		  struct loop *loop, const struct registry_ends *ends)
{
	int err;

	*r = (struct registry){
		.options = *options,
		.api = { .context = options->context },
	};
	nacos_choice_init(&r->choice, options->api == REGISTRY_API_V3 ? NACOS_V3 : NACOS_V1,
			  options->api != REGISTRY_API_AUTO);
	r->api.version = r->choice.version;
	set_pace(r);
	r->ends = *ends;
	err = servers_init(&r->servers, &r->options, &r->nodes);
	if (err == 0)
		err = route_init(&r->route, &r->options, &r->api, &r->nodes);
	if (err == 0)
		err = init_access(r, loop);
	if (err == 0)
		err = request_lane_new(
			&r->requests, loop, &r->nodes,
			or_default(options->request_connections, CONNECTIONS_DEFAULT), on_write, r);
	if (err == 0)
		err = beat_lane_new(&r->beats, loop, &r->nodes,
				    or_default(options->beat_connections, CONNECTIONS_DEFAULT),
				    on_beat, r);
	if (err == 0)
		err = servers_watch(&r->servers, loop, r->requests, r->beats, on_list, r);
	if (err < 0)
		return err;
	set_timeouts(r);
	/* Without a secret the registry says itself what it does not let us do; others are none the worse. */
	(void)registry_set_login(r, &options->login, clock_now_ms());
	return 0;
}

void registry_deinit(struct registry *r)
{
	servers_deinit(&r->servers);
	route_deinit(&r->route);
	r->beats = beat_lane_free(r->beats);
	r->requests = request_lane_free(r->requests);
	access_deinit(&r->access);
	http_nodes_deinit(&r->nodes);
}

int registry_set_login(struct registry *r, const struct registry_login *login, uint64_t now_ms)
{
	int err = access_set(&r->access, login, now_ms);

	if (err == 0)
		r->options.login = *login;
	hold_or_let_go(r, now_ms);
	return err;
}

bool registry_denied(struct registry *r, uint64_t now_ms)
{
	bool again = access_denied(&r->access, now_ms);

	hold_or_let_go(r, now_ms);
	return again;
}

bool registry_no_api(struct registry *r, enum nacos_version asked, uint64_t now_ms)
{
	enum nacos_advice advice = nacos_choice_no_api(&r->choice, asked, now_ms);

	r->api.version = r->choice.version;
	if (advice == NACOS_MOVED) {
		route_api_changed(&r->route);
		log_info("registry.api", "registry=%s from=%s to=%s reason=\"a server says so\"",
			 r->options.name, nacos_version_name(asked),
			 nacos_version_name(r->api.version));
	}
	return advice != NACOS_WAIT;
}

uint64_t registry_turn(struct registry *r, enum machine_pace pace, uint64_t now_ms)
{
	return pace_turn(pace == MACHINE_PACE_POST ? &r->posts : &r->late_beats, now_ms);
}

/* Under rcu_read_lock(). */
static struct http_way way_of(struct registry *r, struct beat *beat, const struct descriptor *d)
{
	struct http_way way;

	if (beat->route_epoch != r->route.epoch || r->route.n_owners == 0) {
		way = route_way(&r->route, d);
		beat->home = way.home;
		beat->group = way.group;
		beat->route_epoch = r->route.epoch;
	}
	return (struct http_way){ beat->home, beat->group };
}

static void ask_members(struct registry *r, uint64_t now_ms)
{
	if (route_ask(&r->route, now_ms, r->target, NACOS_TARGET_MAX) &&
	    request_lane_submit(r->requests, HTTP_GET, r->target, 0, &r->route, 0) < 0)
		r->route.asking = false;
}

/* Puts what signs a rendered request before its last n_end bytes. Its new length. */
static size_t sign(struct registry *r, const struct descriptor *d, size_t n, size_t n_end)
{
	char params[ACCESS_PARAMS_MAX];
	size_t n_params;
	char *end;

	if (n == 0 || !access_signs(&r->access))
		return n;
	n_params = access_params(&r->access, d, params, sizeof(params));
	assert(n + n_params < sizeof(r->target));
	end = r->target + n - n_end;
	memmove(end + n_params, end, n_end + 1);
	memcpy(end, params, n_params);
	return n + n_params;
}

static size_t render_write(struct registry *r, struct beat *beat, enum machine_request what,
			   uint32_t *home)
{
	const struct descriptor *d;
	size_t n;

	rcu_read_lock();
	d = rcu_dereference(beat->node)->descriptor;
	if (what == MACHINE_POST)
		n = nacos_register_target(&r->api, d, r->target, NACOS_TARGET_MAX);
	else
		n = nacos_deregister_target(&r->api, d, r->target, NACOS_TARGET_MAX);
	n = sign(r, d, n, 0);
	*home = way_of(r, beat, d).home;
	rcu_read_unlock();
	return n;
}

/* A POST whose head may be refused for its length goes as a form where that is known to help. */
static enum http_method method_of(const struct registry *r, struct beat *beat,
				  enum machine_request what, size_t n)
{
	if (what != MACHINE_POST)
		return HTTP_DELETE;
	n += HEADERS_ABOUT + (r->link.token ? r->link.token->n : 0);
	beat->long_head = n > NACOS_HEAD_MAX;
	return nacos_register_as_form(&r->api, n, beat->head_refused) ? HTTP_POST_FORM : HTTP_POST;
}

int registry_write(struct registry *r, struct beat *beat, enum machine_request what,
		   uint32_t serial)
{
	uint32_t home = HTTP_NOWHERE;
	int err = -ENOBUFS;
	size_t n;

	beat->write_api = (uint8_t)r->api.version;
	n = render_write(r, beat, what, &home);
	if (n > 0)
		err = request_lane_submit_to(r->requests, method_of(r, beat, what, n), r->target,
					     beat->owner, beat, serial, home);
	if (err == 0)
		registry_count(what == MACHINE_POST ? &r->counts.registers
						    : &r->counts.deregisters);
	return err;
}

/* A rendered line, the head lines that tell of a full beat's body, and the body. NULL: it cannot be had. */
static char *with_body(struct registry *r, const struct descriptor *d, const char *line,
		       uint32_t *n_body)
{
	size_t n = nacos_beat_body(d, r->target, NACOS_TARGET_MAX);
	char *request;

	if (n == 0 ||
	    asprintf(&request,
		     "%sContent-Type: " NACOS_FORM_TYPE "\r\nContent-Length: %zu\r\n\r\n%s", line,
		     n, r->target) < 0)
		return NULL;
	*n_body = (uint32_t)n + 2; /* with the blank line */
	return request;
}

static char *render_request(struct registry *r, const struct descriptor *d, bool full,
			    uint32_t *n_body)
{
	size_t n = nacos_beat_line(&r->api, d, r->target, NACOS_TARGET_MAX);
	char *light, *request;

	n = sign(r, d, n, sizeof(LINE_END) - 1);
	light = n > 0 ? strndup(r->target, n) : NULL;
	if (!light || !full)
		return light;
	request = with_body(r, d, light, n_body);
	if (!request) /* too long, or no memory: a light beat keeps it just as well */
		return light;
	free(light);
	return request;
}

/*
 * A request is rendered once and kept until the node, the API or the kind of beat changes. While a stale beat is
 * still in the lane its bytes must stay, so a change waits for the next beat: at worst that one is answered
 * "unknown".
 */
static bool render_beat(struct registry *r, struct beat *beat, bool full, struct http_way *way)
{
	const struct dom2beat_node *node;
	uint32_t n_body = 0;
	char *request;
	bool old;

	rcu_read_lock();
	node = rcu_dereference(beat->node);
	old = beat->request_api != r->api.version || beat->request_version != node->version ||
	      full != (beat->n_request_body > 0) || access_signs(&r->access);
	if (!beat->request || (old && beat->n_inflight == 0)) {
		request = render_request(r, node->descriptor, full, &n_body);
		if (request) {
			free(beat->request);
			beat->request = request;
			beat->n_request_body = n_body;
			beat->request_version = node->version;
			beat->request_api = (uint8_t)r->api.version;
		}
	}
	*way = way_of(r, beat, node->descriptor);
	rcu_read_unlock();
	return beat->request != NULL;
}

/* v3 has one kind of beat. */
static bool sent_full(const struct registry *r, enum machine_request what)
{
	return what == MACHINE_FULL_BEAT && r->api.version == NACOS_V1;
}

int registry_beat(struct registry *r, struct beat *beat, enum machine_request what, uint32_t serial)
{
	struct http_way way;
	int err = -ENOMEM;

	if (render_beat(r, beat, sent_full(r, what), &way)) {
		uint32_t n = (uint32_t)strlen(beat->request);

		err = beat_lane_submit_full(r->beats, beat->request, n - beat->n_request_body,
					    beat->n_request_body, beat, serial, way);
	}
	if (err == 0)
		registry_count(&r->counts.beats_sent);
	return err;
}

void registry_flush(struct registry *r, uint64_t now_ms)
{
	if (!access_holds(&r->access, now_ms))
		beat_lane_flush(r->beats, now_ms);
}

void registry_tick(struct registry *r, uint64_t now_ms)
{
	access_tick(&r->access, now_ms);
	hold_or_let_go(r, now_ms);
	registry_flush(r, now_ms);
	servers_tick(&r->servers, now_ms);
	ask_members(r, now_ms);
	beat_lane_tick(r->beats, now_ms);
	request_lane_tick(r->requests, now_ms);
}

uint64_t registry_due_ms(const struct registry *r)
{
	const uint64_t dues[] = { beat_lane_due_ms(r->beats), request_lane_due_ms(r->requests),
				  servers_due_ms(&r->servers), route_due_ms(&r->route),
				  access_due_ms(&r->access, clock_now_ms()) };
	uint64_t due_ms = CLOCK_NEVER;

	for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++)
		due_ms = dues[i] < due_ms ? dues[i] : due_ms;
	return due_ms;
}
