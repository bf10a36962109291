/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin page
 *
 * Changes the registry while it runs, for tests and for people who try things:
 * POST /registry/admin/VERB?param=value&... does it, GET shows what is so, as JSON. It is served to
 * peers on loopback only, is met by no fault and stands in no log. A refused call changes nothing
 * and says which parameter, what it was and what it may be.
 *
 *   mode?mode=1.4            behaves as that version from now on, with the instances it has
 *   clear[?node=I]           forgets all instances, as an empty restart does
 *   fault?kind=503...        see fault.c; of requests that match path= (a prefix, /nacos/), method=,
 *                            query= (a text in the target) and node=; count= of them; the reply
 *                            waits ms=. kind=reply answers status=, type= and the call's body.
 *   faults-clear
 *   endpoint[?status=N]      the call's body becomes the address server's page
 *   node/I?do=kill           closes its port; restart brings it back, with what the others hold
 *   node/I?do=freeze         neither reads nor writes until thaw
 *   node/I?do=slow&ms=N      takes so long for each request; 0 ends it
 *   view?node=I&members=0,2  what that node believes from now on; auto ends it
 *   forward?ms=N             what each forward takes
 */
#include "admin.h"

#include "api.h"
#include "auth.h"
#include "httpd.h"
#include "mode.h"
#include "respond.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REASON_MAX = 512
};

struct call {
	struct httpd *httpd;
	const struct node *at;
	const char *verb;
	const struct api_request *req;
	const char *body;
	char *reason; /* why it is refused, REASON_MAX bytes */
};

__attribute__((format(printf, 2, 3))) static bool refused(struct call *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(c->reason, REASON_MAX, fmt, args);
	va_end(args);
	return false;
}

static bool set_mode(struct call *c)
{
	const char *name = formdata_or(&c->req->params, "mode", "");
	const struct mode *mode = mode_find(name);

	if (!mode)
		return refused(c, "mode: \"%s\" is not one of %s", name, mode_names);
	for (unsigned int i = 0; i < c->httpd->cluster.n_members; i++) {
		c->httpd->nodes[i].api.mode = mode;
		store_set_mode(&c->httpd->nodes[i].api.store, mode, c->req->now_ms);
	}
	return true;
}

static bool add_fault(struct call *c)
{
	return fault_add(&c->httpd->faults, &c->req->params, c->body, c->reason, REASON_MAX);
}

static bool clear_faults(struct call *c)
{
	fault_clear(&c->httpd->faults);
	return true;
}

static bool read_ms(struct call *c, uint64_t *out)
{
	long ms;

	if (!formdata_number(&c->req->params, "ms", 0, 600000, 0, &ms))
		return refused(c, "ms: \"%s\" is not milliseconds from 0 to 600000",
			       formdata_get(&c->req->params, "ms"));
	*out = (uint64_t)((double)ms * c->httpd->options.time_scale);
	return true;
}

/* A node's number, in decimal; the whole of text. */
static bool read_node(struct call *c, const char *text, unsigned int *out)
{
	size_t n = strlen(text);

	*out = n && n < 3 && strspn(text, "0123456789") == n ? (unsigned int)strtoul(text, NULL, 10)
							     : CLUSTER_MAX;
	if (*out < c->httpd->cluster.n_members)
		return true;
	return refused(c, "node: \"%s\" is not a node from 0 to %u", text,
		       c->httpd->cluster.n_members - 1);
}

/* Of one node, as if it alone had come back empty; or of all. */
static bool clear(struct call *c)
{
	const char *node = formdata_get(&c->req->params, "node");
	unsigned int first = 0, last = c->httpd->cluster.n_members - 1;

	if (node && !read_node(c, node, &first))
		return false;
	last = node ? first : last;
	for (unsigned int i = first; i <= last; i++)
		store_clear(&c->httpd->nodes[i].api.store);
	return true;
}

static bool restart(struct call *c, struct node *n)
{
	int r = node_restart(n);

	return r == 0 || refused(c, "node: %u does not start: %s", n->index, strerror(-r));
}

static bool change_state(struct call *c, struct node *n, const char *what)
{
	enum member_state state = c->httpd->cluster.members[n->index].state;

	if (strcmp(what, "kill") == 0 && state != MEMBER_KILLED)
		node_kill(n);
	else if (strcmp(what, "freeze") == 0 && state == MEMBER_RUNS)
		node_freeze(n);
	else if (strcmp(what, "thaw") == 0 && state == MEMBER_FROZEN)
		node_thaw(n);
	else if (strcmp(what, "restart") == 0)
		return restart(c, n);
	else
		return refused(c,
			       "do: \"%s\" is not one of kill, freeze, thaw (a frozen one), "
			       "restart or slow for node %u, which %s",
			       what, n->index,
			       state == MEMBER_RUNS     ? "runs"
			       : state == MEMBER_FROZEN ? "is frozen"
							: "is killed");
	return true;
}

static bool change_node(struct call *c)
{
	const char *what = formdata_or(&c->req->params, "do", "");
	unsigned int i;

	if (!read_node(c, c->verb + strlen("node/"), &i))
		return false;
	if (strcmp(what, "slow") == 0)
		return read_ms(c, &c->httpd->cluster.members[i].slow_ms);
	if (&c->httpd->nodes[i] == c->at)
		return refused(c, "node: %u is the one that you ask: ask another", i);
	return change_state(c, &c->httpd->nodes[i], what);
}

/* "0,2" as bits. */
static bool read_members(struct call *c, const char *text, uint32_t *out)
{
	unsigned int i;
	char copy[64], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", text);
	*out = 0;
	while ((word = strsep(&rest, ",")) != NULL) {
		if (!read_node(c, word, &i))
			return false;
		*out |= 1u << i;
	}
	return true;
}

static bool set_view(struct call *c)
{
	const char *members = formdata_or(&c->req->params, "members", "auto");
	uint32_t belief = 0;
	unsigned int i;

	if (!read_node(c, formdata_or(&c->req->params, "node", ""), &i))
		return false;
	if (strcmp(members, "auto") != 0 && !read_members(c, members, &belief))
		return false;
	c->httpd->cluster.members[i].believes = belief != 0;
	c->httpd->cluster.members[i].belief = belief;
	return true;
}

static bool set_forward(struct call *c)
{
	return read_ms(c, &c->httpd->cluster.forward_ms);
}

/* The body is the list; without one and without a status the nodes are listed again. */
static bool set_endpoint(struct call *c)
{
	const char *text = c->body;
	long status;

	if (!formdata_number(&c->req->params, "status", 200, 599, 0, &status))
		return refused(c, "status: \"%s\" is not a status from 200 to 599",
			       formdata_get(&c->req->params, "status"));
	if (!text && status)
		text = "";
	return endpoint_set(&c->httpd->endpoint, text, status ? (int)status : 200) ||
	       refused(c, "out of memory");
}

/* user=U&password=P switches on, off= switches off. */
static bool set_auth(struct call *c)
{
	struct auth *auth = c->at->api.auth;
	char text[2 * AUTH_NAME_MAX];

	if (formdata_raw(&c->req->params, "off")) {
		auth_set_off(auth);
		return true;
	}
	snprintf(text, sizeof(text), "%s:%s", formdata_or(&c->req->params, "user", ""),
		 formdata_or(&c->req->params, "password", ""));
	if (auth_set_user(auth, text))
		return true;
	return refused(c,
		       "auth: wants user and password, each of 1 to %d bytes, "
		       "or off",
		       AUTH_NAME_MAX - 1);
}

static bool rotate(struct call *c)
{
	auth_rotate(c->at->api.auth);
	return true;
}

static bool set_token_ttl(struct call *c)
{
	const char *seconds = formdata_or(&c->req->params, "seconds", "");

	if (auth_set_ttl(c->at->api.auth, seconds))
		return true;
	return refused(c, "seconds: \"%s\" is not a number from 1 to %d", seconds, AUTH_TTL_MAX_S);
}

static const struct verb {
	const char *name; /* one that ends in "/" stands for all below it */
	bool (*run)(struct call *c);
} verbs[] = {
	{ "mode", set_mode },
	{ "fault", add_fault },
	{ "faults-clear", clear_faults },
	{ "clear", clear },
	{ "node/", change_node },
	{ "view", set_view },
	{ "forward", set_forward },
	{ "endpoint", set_endpoint },
	{ "auth", set_auth },
	{ "rotate", rotate },
	{ "token-ttl", set_token_ttl },
};

/* Each node's address, state, number of instances, and whom it sees. */
static void put_nodes(const struct httpd *s, struct sbuf *b)
{
	static const char *const states[] = { "runs", "killed", "frozen" };

	for (unsigned int i = 0; i < s->cluster.n_members; i++) {
		const struct member *m = &s->cluster.members[i];
		const char *comma = "";

		sbuf_fmt(b, "%s{\"address\":\"%s\",\"state\":\"%s\",\"instances\":%zu,\"sees\":[",
			 i ? "," : "", m->address, states[m->state],
			 s->nodes[i].api.store.instances.n_nodes);
		for (unsigned int j = 0; j < s->cluster.n_members; j++) {
			if (!cluster_sees(&s->cluster, i, j, httpd_ms(s)))
				continue;
			sbuf_fmt(b, "%s%u", comma, j);
			comma = ",";
		}
		sbuf_add(b, "]}");
	}
}

static void show(const struct node *at, struct api_reply *out)
{
	const struct httpd *s = at->httpd;
	struct sbuf *b = &out->body;

	respond_json(out);
	sbuf_fmt(b, "{\"mode\":\"%s\",\"instances\":%zu,\"faults\":", at->api.mode->name,
		 at->api.store.instances.n_nodes);
	fault_json(&s->faults, b);
	sbuf_add(b, ",\"nodes\":[");
	put_nodes(s, b);
	sbuf_add(b, "]}");
}

static void refuse(struct api_reply *out, int status, const char *reason)
{
	respond_text(out, reason);
	sbuf_add(&out->body, "\n");
	out->status = status;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		size_t n = strlen(verbs[i].name);

		if (verbs[i].name[n - 1] == '/' ? strncmp(verbs[i].name, name, n) == 0
						: strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static void refuse_verb(struct api_reply *out, const char *name)
{
	struct sbuf reason = SBUF_NULL;

	sbuf_fmt(&reason, "\"%s\" is not one of the verbs", name);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		sbuf_fmt(&reason, "%s %s", i ? "," : "", verbs[i].name);
	refuse(out, 404, reason.failed ? "out of memory" : reason.data);
	sbuf_deinit(&reason);
}

void admin_serve(struct node *at, const struct api_request *req, const char *body,
		 struct api_reply *out)
{
	char reason[REASON_MAX] = "refused";
	const char *name = req->path + strlen(ADMIN_PATH);
	struct call c = {
		.httpd = at->httpd,
		.at = at,
		.verb = *name == '/' ? name + 1 : name,
		.req = req,
		.body = body,
		.reason = reason,
	};
	const struct verb *verb = find_verb(c.verb);
	bool is_post = strcmp(req->method, "POST") == 0;

	out->kind = API_OWN;
	if (!is_post && strcmp(req->method, "GET") != 0)
		refuse(out, 405, "the admin page takes GET and POST");
	else if (is_post && !verb)
		refuse_verb(out, c.verb);
	else if (is_post && !verb->run(&c))
		refuse(out, 400, reason);
	else
		show(at, out);
}
