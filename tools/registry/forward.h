/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_FORWARD_H
#define REGISTRY_FORWARD_H

#include <stdint.h>

struct api_reply;
struct api_request;
struct httpd;
struct store_key;

struct forward_note {
	int to;           /* the node that it was forwarded to; -1 is none */
	uint64_t wait_ms; /* what the reply takes, by the registry's clock */
};

/* Serves a request that came to a node, as that node does it as a member of its cluster. */
struct forward_note forward_serve(struct httpd *s, unsigned int at, struct api_request *req,
				  struct api_reply *out);

/* Who is responsible for an instance, as the node at `at` believes. */
unsigned int forward_owner(const struct httpd *s, unsigned int at, const struct store_key *key);

#endif
