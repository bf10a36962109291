/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_HTTPD_H
#define REGISTRY_HTTPD_H

#include "cluster.h"
#include "endpoint.h"
#include "fault.h"
#include "node.h"
#include "reqlog.h"
#include "tls.h"

TAILQ_HEAD(exchanges, exchange);

struct httpd_options {
	const struct mode *mode;
	double time_scale;
	unsigned int keepalive_requests; /* a connection carries this many; 0 is no limit */
	const char *log_path;            /* or NULL */
	struct auth *auth;               /* the caller's */
	struct listen_address address;   /* of the first node */
	unsigned int n_nodes;
	struct tls_options tls;
};

struct httpd {
	struct httpd_options options;
	struct node nodes[CLUSTER_MAX];
	struct cluster cluster; /* its n_members is the number of nodes */
	struct reqlog log;
	struct faults faults;
	struct endpoint endpoint;
	struct tls tls;
	struct exchanges waiting;
	uint64_t n_connections;
	unsigned int idle_s;
	uint64_t started_ms;
};

/* Listens with all nodes. Returns 0, or a negative errno with a message in error. */
int httpd_init(struct httpd *s, const struct httpd_options *options, char *error,
	       size_t error_size);
void httpd_deinit(struct httpd *s);

/* Runs until stop_fd is readable. Returns 0 or a negative errno. */
int httpd_run(struct httpd *s, int stop_fd);

uint64_t httpd_boottime_ms(void);
/* The clock of stores and cluster, which runs time_scale times faster. */
uint64_t httpd_ms(const struct httpd *s);

#endif
