/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_ENDPOINT_H
#define HTTP_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "http/registry_options.h"
#include "nacos/serverlist.h"

struct endpoint;

/* Texts outlive the endpoint. */
struct endpoint_options {
	const char *registry; /* name, for the log */
	const char *url;
	bool https;           /* servers that the page names without a scheme speak https */
	const char *snapshot; /* file; NULL: none */
	const char *proxy;    /* NULL: none */
	const struct registry_tls *tls; /* as for the servers, but for the name */
	uint32_t interval_ms;           /* 0: 30 s */
	uint32_t connect_ms;
	uint32_t total_ms;
	/* The list, when it is another one than before; called from a tick or the loop. */
	void (*changed)(void *ctx, const struct serverlist *list);
	void *ctx;
};

/* Nothing is asked before the first tick, which is due at once. 0 or a negative errno. */
int endpoint_new(struct endpoint **out, struct loop *loop, const struct endpoint_options *options);
/* Takes NULL, returns NULL. */
struct endpoint *endpoint_free(struct endpoint *e);

void endpoint_tick(struct endpoint *e, uint64_t now_ms);
uint64_t endpoint_due_ms(const struct endpoint *e);

/* The list of a snapshot: 0, or a negative errno. */
int endpoint_snapshot(const char *path, bool tls, struct serverlist *out);

#endif
