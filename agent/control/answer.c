/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tools are told, as JSON
 *
 * Instances come from dom2Beat under rcu_read_lock(): the list never stops watcher or sender. Their beat state
 * is read with relaxed atomics, each true by itself. What only another thread knows (refusals, node health) is
 * fetched by a call to that thread.
 */
#include "control/answer.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/json_out.h"
#include <onebeat/onebeat.h>

#define N_STATES (ONEBEAT_STATE_GONE + 1)

static const char *const state_names[N_STATES] = {
	[ONEBEAT_STATE_DETACHED] = "DETACHED",
	[ONEBEAT_STATE_PENDING] = "PENDING",
	[ONEBEAT_STATE_WAITING] = "WAITING",
	[ONEBEAT_STATE_REGISTERING] = "REGISTERING",
	[ONEBEAT_STATE_UP] = "UP",
	[ONEBEAT_STATE_DOWN] = "DOWN",
	[ONEBEAT_STATE_REFUSED] = "REFUSED",
	[ONEBEAT_STATE_LEAVING] = "LEAVING",
	[ONEBEAT_STATE_GONE] = "GONE",
};

/* As the status line of its holders has it, from the same words. */
static enum onebeat_state state_of(const struct dom2beat_node *node)
{
	const struct beat *beat = node->beat;
	uint32_t want = atomic_load_explicit(&beat->want_version, memory_order_relaxed);
	uint32_t machine = atomic_load_explicit(&beat->state, memory_order_relaxed);

	if (node->version == 0)
		return ONEBEAT_STATE_WAITING; /* it has just been entered; its holders follow */
	if (node->n_holders == 0)
		return machine == MACHINE_GONE ? ONEBEAT_STATE_GONE : ONEBEAT_STATE_LEAVING;
	if (want == 0)
		return ONEBEAT_STATE_WAITING;
	if (machine == MACHINE_REJECTED &&
	    atomic_load_explicit(&beat->rejected, memory_order_relaxed) == node->version)
		return ONEBEAT_STATE_REFUSED;
	if (atomic_load_explicit(&beat->acked, memory_order_relaxed) != node->version)
		return ONEBEAT_STATE_REGISTERING;
	return node->descriptor->enabled ? ONEBEAT_STATE_UP : ONEBEAT_STATE_DOWN;
}

static uint64_t age_ms(uint64_t now_ms, uint64_t then_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

static void put_names(FILE *out, const struct descriptor *d)
{
	char key[600];

	events_key(d, key, sizeof(key));
	json_out_member(out, "key", key, 1);
	json_out_member(out, "registry", d->registry, 0);
	json_out_member(out, "namespace", d->namespace_id, 0);
	json_out_member(out, "group", d->group, 0);
	json_out_member(out, "service", d->service, 0);
	json_out_member(out, "cluster", d->cluster, 0);
	json_out_member(out, "ip", d->ip, 0);
	fprintf(out, ",\"port\":%u", d->port);
}

static void put_state(FILE *out, const struct dom2beat_node *node, uint64_t now_ms)
{
	const struct beat *beat = node->beat;
	const struct beat_note *note = rcu_dereference(beat->note);
	uint64_t beat_ms = atomic_load_explicit(&beat->beat_ms, memory_order_relaxed);
	uint64_t since_ms = atomic_load_explicit(&beat->since_ms, memory_order_relaxed);

	json_out_member(out, "state", state_names[state_of(node)], 0);
	fprintf(out, ",\"since_ms\":%" PRIu64, since_ms ? age_ms(now_ms, since_ms) : 0);
	if (beat_ms)
		fprintf(out, ",\"beat_age_ms\":%" PRIu64, age_ms(now_ms, beat_ms));
	else
		fputs(",\"beat_age_ms\":null", out);
	fprintf(out, ",\"code\":%u", atomic_load_explicit(&beat->code, memory_order_relaxed));
	json_out_member(out, "text", note ? note->text : "", 0);
}

static void put_definition(FILE *out, const struct descriptor *d)
{
	fprintf(out, ",\"enabled\":%s,\"ephemeral\":%s,\"weight\":%.17g,\"metadata\":{",
		d->enabled ? "true" : "false", d->ephemeral ? "true" : "false", d->weight);
	for (uint32_t i = 0; i < d->n_metadata; i++) {
		fputs(i ? "," : "", out);
		json_out_string(out, d->metadata[i].key);
		fputc(':', out);
		json_out_string(out, d->metadata[i].value);
	}
	fputc('}', out);
}

static void put_holders(FILE *out, const struct dom2beat_node *node)
{
	fputs(",\"holders\":[", out);
	for (uint32_t i = 0; i < node->n_holders; i++) {
		const struct dom2beat_holder *h = &node->holders[i];

		fprintf(out, "%s{\"pid\":%d", i ? "," : "", (int)h->pid);
		json_out_member(out, "program", h->program, 0);
		fprintf(out, ",\"uid\":%u,\"policy\":\"%s\",\"state\":\"%s\"}", h->uid,
			h->policy == ONEBEAT_OWNER ? "owner" : "any",
			h->attached ? "attached" : "watched");
	}
	fputc(']', out);
}

struct instances_out {
	FILE *out;
	uint64_t now_ms;
};

static void put_instance(void *ctx, const struct dom2beat_node *node)
{
	const struct instances_out *i = ctx;

	fputc('{', i->out);
	put_names(i->out, node->descriptor);
	put_state(i->out, node, i->now_ms);
	put_definition(i->out, node->descriptor);
	put_holders(i->out, node);
	fputs("}\n", i->out);
}

static void put_refusal(void *ctx, const struct watcher_refusal *r)
{
	FILE *out = ctx;

	fprintf(out, "{\"refused\":{\"pid\":%d", (int)r->pid);
	json_out_member(out, "program", r->program, 0);
	fprintf(out, ",\"uid\":%u", r->uid);
	json_out_member(out, "service", r->service, 0);
	json_out_member(out, "text", r->text, 0);
	fprintf(out, ",\"times\":%u}}\n", r->n);
}

static void collect_refusals(void *owner, void *ctx)
{
	watcher_each_refusal(owner, put_refusal, ctx);
}

void answer_list(FILE *out, const struct server_options *o)
{
	struct instances_out i = { .out = out, .now_ms = clock_now_ms() };
	const struct watcher_counts *w = watcher_counts(o->watcher);

	rcu_read_lock();
	dom2beat_each(o->map, put_instance, &i);
	rcu_read_unlock();
	if (atomic_load_explicit(&w->refused, memory_order_relaxed) > 0 ||
	    atomic_load_explicit(&w->turned_away, memory_order_relaxed) > 0)
		(void)calls_do(watcher_calls(o->watcher), collect_refusals, out);
}

static void count_state(void *ctx, const struct dom2beat_node *node)
{
	uint32_t *n = ctx;

	n[state_of(node)]++;
}

static void put_states(FILE *out, const struct server_options *o)
{
	uint32_t n[N_STATES] = { 0 };
	const char *comma = "";

	rcu_read_lock();
	dom2beat_each(o->map, count_state, n);
	rcu_read_unlock();
	fputs(",\"states\":{", out);
	for (unsigned int i = 0; i < N_STATES; i++) {
		if (n[i] == 0)
			continue;
		fprintf(out, "%s\"%s\":%u", comma, state_names[i], n[i]);
		comma = ",";
	}
	fputc('}', out);
}

struct registries_out {
	FILE *out;
	const char *comma;
};

static void put_node(void *ctx, const struct sender_node *node)
{
	struct registries_out *n = ctx;

	fprintf(n->out, "%s{", n->comma);
	n->comma = ",";
	json_out_member(n->out, "address", node->address, 1);
	json_out_member(n->out, "state", node->healthy ? "healthy" : "failing", 0);
	fprintf(n->out, ",\"connections\":%u", node->beat_connections);
	json_out_member(n->out, "last_error", node->last_error, 0);
	fputc('}', n->out);
}

static unsigned long long load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void put_counts(FILE *out, const struct sender_counts *s)
{
	fprintf(out, ",\"beats\":{\"sent\":%llu,\"acknowledged\":%llu,\"failed\":%llu}",
		load(&s->beats_sent), load(&s->beats_acknowledged), load(&s->beats_failed));
	fprintf(out, ",\"requests\":{\"register\":%llu,\"deregister\":%llu,\"failed\":%llu}",
		load(&s->registers), load(&s->deregisters), load(&s->requests_failed));
}

static void put_login(FILE *out, const struct access *access)
{
	struct access_status status;

	access_status(access, &status);
	fputs(",\"login\":{", out);
	json_out_member(out, "state", status.login, 1);
	fprintf(out, ",\"logins\":%u", status.n_logins);
	json_out_member(out, "last_error", status.last_error, 0);
	fputc('}', out);
}

static void collect_registries(void *owner, void *ctx)
{
	struct sender *s = owner;
	struct registries_out *r = ctx;

	for (uint32_t i = 0; i < sender_n_registries(s); i++) {
		fputs(i ? ",{" : "{", r->out);
		json_out_member(r->out, "name", sender_registry_name(s, i), 1);
		put_counts(r->out, sender_counts(s, i));
		put_login(r->out, sender_access(s, i));
		fputs(",\"nodes\":[", r->out);
		r->comma = "";
		sender_each_node(s, i, put_node, r);
		fputs("]}", r->out);
	}
}

static void put_registries(FILE *out, const struct server_options *o)
{
	struct registries_out r = { .out = out };

	fputs(",\"registries\":[", out);
	(void)calls_do(sender_calls(o->sender), collect_registries, &r);
	fputc(']', out);
}

/* What all registries have together. */
static void put_totals(FILE *out, const struct sender *s)
{
	struct sender_counts sum = { 0 };

	for (uint32_t i = 0; i < sender_n_registries(s); i++) {
		const struct sender_counts *c = sender_counts(s, i);

		sum.beats_sent += load(&c->beats_sent);
		sum.beats_acknowledged += load(&c->beats_acknowledged);
		sum.beats_failed += load(&c->beats_failed);
		sum.registers += load(&c->registers);
		sum.deregisters += load(&c->deregisters);
		sum.requests_failed += load(&c->requests_failed);
	}
	put_counts(out, &sum);
}

void answer_status(FILE *out, const struct server_options *o)
{
	const struct watcher_counts *w = watcher_counts(o->watcher);

	fprintf(out, "{\"version\":\"%s\",\"pid\":%d,\"keeper_pid\":%d,\"uptime_ms\":%" PRIu64,
		ONEBEAT_VERSION, (int)getpid(), (int)o->keeper_pid,
		age_ms(clock_now_ms(), o->started_ms));
	fprintf(out,
		",\"dom2BeatSize\":%llu,\"leases\":%u,\"slots\":%u,\"refused\":%u,\"turned_away\":%u,\"looks\":%llu",
		load(&o->map->size), atomic_load_explicit(&w->leases, memory_order_relaxed),
		atomic_load_explicit(&w->slots, memory_order_relaxed),
		atomic_load_explicit(&w->refused, memory_order_relaxed),
		atomic_load_explicit(&w->turned_away, memory_order_relaxed), load(&w->looks));
	put_states(out, o);
	put_totals(out, o->sender);
	put_registries(out, o);
	fprintf(out, ",\"adopted\":%u,\"restarts\":%u}\n",
		atomic_load_explicit(&w->adopted, memory_order_relaxed), o->n_restarts);
}

void answer_event(FILE *out, const struct event *event)
{
	char wall[32];
	struct tm tm;

	gmtime_r(&event->wall.tv_sec, &tm);
	strftime(wall, sizeof(wall), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "{\"time\":\"%s.%03ldZ\"", wall, event->wall.tv_nsec / 1000000);
	json_out_member(out, "event", event->name, 0);
	json_out_member(out, "key", event->key, 0);
	json_out_member(out, "text", event->text, 0);
	fputs("}\n", out);
}

void answer_end(FILE *out, const char *error)
{
	fputs("{\"end\":true,\"error\":", out);
	if (error)
		json_out_string(out, error);
	else
		fputs("null", out);
	fputs("}\n", out);
}
