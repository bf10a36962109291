/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry's own pages
 *
 * "/" shows people what is registered, "/onebeat/stats" tells programs the counts. Neither exists
 * on an official server, and neither is counted as a request. All that comes from clients goes
 * through sbuf_html().
 */
#include "page.h"

#include "api.h"
#include "mode.h"
#include "respond.h"

#include <inttypes.h>

/* A page is made anew every second: more rows than this nobody reads. */
enum {
	MAX_ROWS = 1000
};

static const char *const kind_names[API_N_KINDS] = {
	[API_REGISTER] = "register", [API_BEAT] = "beat",   [API_DEREGISTER] = "deregister",
	[API_LIST] = "list",         [API_OTHER] = "other",
};

static void put_cell(struct sbuf *b, const char *text)
{
	sbuf_add(b, "<td>");
	sbuf_html(b, text);
	sbuf_add(b, "</td>");
}

/* The age is in seconds of the wall clock. */
static void put_row(struct sbuf *b, const struct store_instance *inst, double age_s)
{
	sbuf_fmt(b, "<tr%s>", inst->healthy ? "" : " class=\"ill\"");
	put_cell(b, inst->service->namespace_id);
	put_cell(b, inst->service->name);
	put_cell(b, inst->cluster);
	sbuf_add(b, "<td>");
	sbuf_html(b, inst->ip);
	sbuf_fmt(b, ":%d</td><td>%s</td><td>%s</td><td>", inst->port,
		 inst->healthy ? "healthy" : "unhealthy", inst->enabled ? "enabled" : "disabled");
	sbuf_double(b, inst->weight);
	sbuf_add(b, "</td>");
	put_cell(b, metamap_json(&inst->metadata));
	if (inst->ephemeral)
		sbuf_fmt(b, "<td>%.1f s ago</td></tr>\n", age_s);
	else
		sbuf_add(b, "<td>persistent</td></tr>\n");
}

static void put_counts(struct sbuf *b, const struct api *api)
{
	const struct api_stats *st = &api->stats;

	sbuf_fmt(b,
		 "<p>%zu instances of %zu services; mode %s; time scale %g.<br>"
		 "Connections: %" PRIu64 " open, %" PRIu64 " at most, %" PRIu64
		 " in all. Requests:",
		 api->store.instances.n_nodes, api->store.services.n_nodes, api->mode->name,
		 api->time_scale, st->connections_open, st->connections_peak,
		 st->connections_total);
	for (int i = 0; i < API_OWN; i++)
		sbuf_fmt(b, "%s %" PRIu64 " %s", i ? "," : "", st->requests[i], kind_names[i]);
	sbuf_add(b, ".</p>\n");
}

static void put_rows(struct sbuf *b, const struct api *api, uint64_t now_ms)
{
	const struct store_service *svc;
	const struct store_instance *inst;
	size_t n_rows = 0;

	for (svc = TAILQ_FIRST(&api->store.all); svc; svc = TAILQ_NEXT(svc, link)) {
		for (inst = TAILQ_FIRST(&svc->instances); inst; inst = TAILQ_NEXT(inst, link)) {
			if (n_rows++ == MAX_ROWS)
				return;
			put_row(b, inst,
				(double)(now_ms - inst->last_beat_ms) / 1000.0 / api->time_scale);
		}
	}
}

void page_instances(struct api *api, const struct api_request *req, struct api_reply *out)
{
	size_t n = api->store.instances.n_nodes;
	struct sbuf *b = &out->body;

	respond_page(out);
	sbuf_add(b,
		 "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
		 "<meta http-equiv=\"refresh\" content=\"1\"><title>onebeat-registry</title><style>"
		 "body{font-family:sans-serif}table{border-collapse:collapse}"
		 "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}"
		 ".ill{background:#fdd}</style></head><body><h1>onebeat-registry</h1>\n");
	put_counts(b, api);
	sbuf_add(b,
		 "<table><tr><th>namespace</th><th>service</th><th>cluster</th><th>address</th>"
		 "<th>health</th><th>enabled</th><th>weight</th><th>metadata</th><th>last beat</th>"
		 "</tr>\n");
	put_rows(b, api, req->now_ms);
	sbuf_add(b, "</table>\n");
	if (n > MAX_ROWS)
		sbuf_fmt(b, "<p>and %zu more</p>\n", n - MAX_ROWS);
	sbuf_add(b, "</body></html>\n");
}

void page_stats(struct api *api, const struct api_request *req, struct api_reply *out)
{
	const struct api_stats *st = &api->stats;
	struct sbuf *b = &out->body;

	(void)req;
	respond_json(out);
	sbuf_fmt(b,
		 "{\"mode\":\"%s\",\"time_scale\":%g,\"connections_open\":%" PRIu64
		 ",\"connections_peak\":%" PRIu64 ",\"connections_total\":%" PRIu64
		 ",\"requests\":{",
		 api->mode->name, api->time_scale, st->connections_open, st->connections_peak,
		 st->connections_total);
	for (int i = 0; i < API_OWN; i++)
		sbuf_fmt(b, "%s\"%s\":%" PRIu64, i ? "," : "", kind_names[i], st->requests[i]);
	sbuf_fmt(b, "},\"services\":%zu,\"instances\":%zu}", api->store.services.n_nodes,
		 api->store.instances.n_nodes);
}
