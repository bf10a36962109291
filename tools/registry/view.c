/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance as JSON
 *
 * The pieces that lists and details of all API versions are made of.
 */
#include "view.h"

#include "sbuf.h"
#include "store.h"

#include <inttypes.h>
#include <string.h>

const char *view_bool(bool flag)
{
	return flag ? "true" : "false";
}

void view_member(struct sbuf *b, const char *before, const char *name, const char *value)
{
	sbuf_fmt(b, "%s\"%s\":", before, name);
	sbuf_json(b, value);
}

void view_instance_id(struct sbuf *b, const struct store_instance *inst)
{
	struct sbuf id = SBUF_NULL;

	sbuf_fmt(&id, "%s#%d#%s#%s", inst->ip, inst->port, inst->cluster, inst->service->name);
	if (id.failed)
		b->failed = true;
	else
		sbuf_json(b, id.data);
	sbuf_deinit(&id);
}

void view_weight(struct sbuf *b, const struct store_instance *inst)
{
	sbuf_add(b, ",\"weight\":");
	sbuf_double(b, inst->weight);
}

static uint64_t listed_ms(const struct metamap_time *t, uint64_t usual)
{
	return metamap_ms(t, usual, usual);
}

void view_instance(struct sbuf *b, const struct store_instance *inst, bool with_id)
{
	const struct metamap *m = &inst->metadata;

	if (with_id) {
		sbuf_add(b, "{\"instanceId\":");
		view_instance_id(b, inst);
	}
	view_member(b, with_id ? "," : "{", "ip", inst->ip);
	sbuf_fmt(b, ",\"port\":%d", inst->port);
	view_weight(b, inst);
	sbuf_fmt(b, ",\"healthy\":%s,\"enabled\":%s,\"ephemeral\":%s", view_bool(inst->healthy),
		 view_bool(inst->enabled), view_bool(inst->ephemeral));
	view_member(b, ",", "clusterName", inst->cluster);
	view_member(b, ",", "serviceName", inst->service->name);
	sbuf_fmt(b,
		 ",\"metadata\":%s,\"instanceHeartBeatInterval\":%" PRIu64
		 ",\"instanceHeartBeatTimeOut\":%" PRIu64 ",\"ipDeleteTimeout\":%" PRIu64 "}",
		 strcmp(metamap_json(m), "null") == 0 ? "{}" : metamap_json(m),
		 listed_ms(&m->beat_interval, STORE_BEAT_INTERVAL_MS),
		 listed_ms(&m->beat_timeout, STORE_BEAT_TIMEOUT_MS),
		 listed_ms(&m->delete_timeout, STORE_DELETE_TIMEOUT_MS));
}
