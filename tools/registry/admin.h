/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_ADMIN_H
#define REGISTRY_ADMIN_H

struct api_reply;
struct api_request;
struct node;

#define ADMIN_PATH "/registry/admin"

/* Serves ADMIN_PATH and all below it at a node; body is NULL when there was none. */
void admin_serve(struct node *at, const struct api_request *req, const char *body,
		 struct api_reply *out);

#endif
