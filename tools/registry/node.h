/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_NODE_H
#define REGISTRY_NODE_H

#include "api.h"
#include "listen.h"

struct MHD_Daemon;
struct httpd;

struct node {
	struct httpd *httpd;
	unsigned int index;
	struct api api;
	struct listen_address address;
	struct MHD_Daemon *daemon; /* NULL while it is killed */
};

/* Starts a node of s. Returns 0, or a negative errno with a message in error. */
int node_init(struct node *n, struct httpd *s, unsigned int index, char *error, size_t error_size);
void node_deinit(struct node *n);

/* A killed node closes all connections and listens no more; a frozen one neither reads nor
 * writes, and misses what happens meanwhile. */
void node_kill(struct node *n);
void node_freeze(struct node *n);
/* Expires by its stale clock what it held, everywhere; then learns what the others hold. */
void node_thaw(struct node *n);
/* Starts a killed node again, with what a running one holds. Returns 0 or a negative errno. */
int node_restart(struct node *n);

bool node_runs(const struct node *n);

#endif
