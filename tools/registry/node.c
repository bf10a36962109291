/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node: one listening server with a store of its own
 *
 * Killing, freezing and bringing back act at once, so a node cannot do it to itself while it
 * serves the call that asks for it: the admin page of another node is asked.
 *
 * A thawed node behaves as it was seen on official servers: its clock stood still for what it
 * held, so it takes for silent what the others have heard all along, removes it and tells them.
 */
#include "node.h"

#include "exchange.h"
#include "forward.h"
#include "httpd.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
	MAX_CONNECTIONS = 8192,
	POOL = 64 * 1024, /* of each connection, cleared for each request; its head must fit */
};

/* As many connections as the process may have; the library stops accepting before that. */
static unsigned int connection_limit(const struct httpd *s)
{
	struct rlimit limit;
	rlim_t share;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 512;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	share = limit.rlim_max / s->options.n_nodes;
	return share < MAX_CONNECTIONS + 64 ? (unsigned int)share / 2 : MAX_CONNECTIONS;
}

/* Takes the listening socket over. */
static int start(struct node *n, int listen_fd)
{
	struct httpd *s = n->httpd;
	struct MHD_OptionItem tls[TLS_MHD_OPTIONS];

	tls_mhd_options(&s->tls, tls);
	n->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | tls_flags(&s->tls), 0, NULL, NULL,
		exchange_on_request, n, MHD_OPTION_ARRAY, tls, MHD_OPTION_LISTEN_SOCKET, listen_fd,
		MHD_OPTION_CONNECTION_LIMIT, connection_limit(s), MHD_OPTION_CONNECTION_TIMEOUT,
		s->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL,
		MHD_OPTION_URI_LOG_CALLBACK, exchange_on_target, n, MHD_OPTION_NOTIFY_CONNECTION,
		exchange_on_connection, n, MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed, n,
		MHD_OPTION_END);
	return n->daemon ? 0 : -EIO;
}

/* The library stops with none suspended only. */
static void stop(struct node *n)
{
	exchange_resume_all(n);
	if (n->daemon)
		MHD_stop_daemon(n->daemon);
	n->daemon = NULL;
}

int node_init(struct node *n, struct httpd *s, unsigned int index, char *error, size_t error_size)
{
	struct member *m = &s->cluster.members[index];
	unsigned int port = listen_port(&s->options.address);
	int r;

	*n = (struct node){ .httpd = s, .index = index, .address = s->options.address };
	if (port)
		listen_set_port(&n->address, port + index);
	listen_format(&n->address, m->address, sizeof(m->address));
	r = api_init(&n->api, s->options.mode, s->options.time_scale, s->options.auth);
	if (r != 0) {
		snprintf(error, error_size, "cannot start: out of memory");
		return r;
	}
	n->api.cluster = &s->cluster;
	n->api.node = index;
	r = listen_on(&n->address);
	if (r < 0) {
		snprintf(error, error_size, "%s: %s", m->address, strerror(-r));
		return r;
	}
	listen_format(&n->address, m->address, sizeof(m->address));
	r = start(n, r);
	if (r != 0)
		snprintf(error, error_size, "cannot start: the HTTP server does not start%s",
			 s->tls.cert ? " (do --tls-cert and --tls-key belong together?)" : "");
	return r;
}

void node_deinit(struct node *n)
{
	if (!n->httpd)
		return;
	stop(n);
	api_deinit(&n->api);
	n->httpd = NULL;
}

static struct member *member_of(const struct node *n)
{
	return &n->httpd->cluster.members[n->index];
}

bool node_runs(const struct node *n)
{
	return member_of(n)->state == MEMBER_RUNS;
}

void node_kill(struct node *n)
{
	stop(n);
	cluster_fall(&n->httpd->cluster, n->index, MEMBER_KILLED, httpd_ms(n->httpd));
}

void node_freeze(struct node *n)
{
	cluster_fall(&n->httpd->cluster, n->index, MEMBER_FROZEN, httpd_ms(n->httpd));
}

/* Becomes what another node is that runs; without one it stays as it is. */
static int learn(struct node *n)
{
	struct httpd *s = n->httpd;

	for (unsigned int i = 0; i < s->cluster.n_members; i++)
		if (i != n->index && node_runs(&s->nodes[i]))
			return store_copy(&n->api.store, &s->nodes[i].api.store);
	return 0;
}

/* What the thawed node takes for silent goes from the others. */
static void vanish(void *context, const struct store_key *key)
{
	struct node *thawed = context;
	struct httpd *s = thawed->httpd;
	struct store_instance *inst;

	for (unsigned int i = 0; i < s->cluster.n_members; i++) {
		inst = i == thawed->index ? NULL : store_find(&s->nodes[i].api.store, key);
		if (inst && forward_owner(s, thawed->index, key) == thawed->index)
			store_remove(&s->nodes[i].api.store, inst, httpd_ms(s));
	}
}

void node_thaw(struct node *n)
{
	struct store *store = &n->api.store;
	uint64_t now_ms = httpd_ms(n->httpd);

	store->on_expiry = vanish;
	store->on_expiry_context = n;
	store_tick(store, now_ms);
	store->on_expiry = NULL;
	cluster_return(&n->httpd->cluster, n->index, now_ms);
	if (learn(n) != 0)
		fprintf(stderr, "onebeat-registry: node %u: out of memory\n", n->index);
}

int node_restart(struct node *n)
{
	int r;

	if (n->daemon)
		node_kill(n);
	r = listen_on(&n->address);
	if (r < 0)
		return r;
	r = start(n, r);
	if (r != 0)
		return r;
	cluster_return(&n->httpd->cluster, n->index, httpd_ms(n->httpd));
	store_clear(&n->api.store);
	return learn(n);
}
