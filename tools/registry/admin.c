/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin page
 *
 * Changes the registry while it runs, for tests and for people who try things:
 * POST /registry/admin/VERB?param=value&... does it, GET shows what is so, as JSON. It is served to
 * peers on loopback only, is met by no fault and stands in no log. A refused call changes nothing
 * and says which parameter, what it was and what it may be.
 */
#include "admin.h"

#include "api.h"
#include "httpd.h"
#include "mode.h"
#include "respond.h"

#include <stdio.h>
#include <string.h>

enum {
	REASON_MAX = 512
};

struct call {
	struct httpd *httpd;
	const struct api_request *req;
	const char *body;
	char *reason; /* why it is refused, REASON_MAX bytes */
};

static bool set_mode(struct call *c)
{
	const char *name = formdata_or(&c->req->params, "mode", "");
	const struct mode *mode = mode_find(name);
	struct api *api = &c->httpd->api;

	if (!mode) {
		snprintf(c->reason, REASON_MAX, "mode: \"%s\" is not one of %s", name, mode_names);
		return false;
	}
	api->mode = mode;
	store_set_mode(&api->store, mode, c->req->now_ms);
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

static bool clear(struct call *c)
{
	store_clear(&c->httpd->api.store);
	return true;
}

static const struct verb {
	const char *name; /* one that ends in "/" stands for all below it */
	bool (*run)(struct call *c);
} verbs[] = {
	{ "mode", set_mode },
	{ "fault", add_fault },
	{ "faults-clear", clear_faults },
	{ "clear", clear },
};

static void show(const struct httpd *s, struct api_reply *out)
{
	struct sbuf *b = &out->body;

	respond_json(out);
	sbuf_fmt(b, "{\"mode\":\"%s\",\"instances\":%zu,\"faults\":", s->api.mode->name,
		 s->api.store.instances.n_nodes);
	fault_json(&s->faults, b);
	sbuf_add(b, "}");
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

void admin_serve(struct httpd *s, const struct api_request *req, const char *body,
		 struct api_reply *out)
{
	char reason[REASON_MAX] = "refused";
	struct call c = { .httpd = s, .req = req, .body = body, .reason = reason };
	const char *name = req->path + strlen(ADMIN_PATH);
	const struct verb *verb = find_verb(*name == '/' ? name + 1 : name);

	out->kind = API_OWN;
	if (strcmp(req->method, "GET") == 0)
		show(s, out);
	else if (strcmp(req->method, "POST") != 0)
		refuse(out, 405, "the admin page takes GET and POST");
	else if (!verb)
		refuse_verb(out, *name == '/' ? name + 1 : name);
	else if (verb->run(&c))
		show(s, out);
	else
		refuse(out, 400, reason);
}
