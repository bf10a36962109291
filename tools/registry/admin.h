/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_ADMIN_H
#define REGISTRY_ADMIN_H

struct api_reply;
struct api_request;
struct httpd;

#define ADMIN_PATH "/registry/admin"

/* Serves ADMIN_PATH and all below it; body is NULL when there was none. */
void admin_serve(struct httpd *s, const struct api_request *req, const char *body,
		 struct api_reply *out);

#endif
