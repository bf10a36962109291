/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_ENDPOINT_H
#define REGISTRY_ENDPOINT_H

#include <stdbool.h>

struct api_reply;
struct api_request;
struct cluster;

#define ENDPOINT_PATH "/nacos/serverlist"

struct endpoint {
	char *text; /* NULL: the nodes of the cluster */
	int status;
};
#define ENDPOINT_NULL         \
	{                     \
		.status = 200 \
	}

/* Copies the text; NULL goes back to the nodes. False: no memory, and nothing is changed. */
bool endpoint_set(struct endpoint *e, const char *text, int status);
void endpoint_deinit(struct endpoint *e);

void endpoint_serve(const struct endpoint *e, const struct cluster *cluster,
		    const struct api_request *req, struct api_reply *out);

#endif
