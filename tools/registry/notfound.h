/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_NOTFOUND_H
#define REGISTRY_NOTFOUND_H

#include <stdbool.h>

struct api;
struct api_reply;
struct api_request;

/* Whether version 3 gates the call; writes its 410 then. */
bool notfound_gone(const struct api *api, const struct api_request *req, struct api_reply *out);

/* Writes the reply to a call that there is no route for; has_path: there is with another method. */
void notfound(const struct api *api, const struct api_request *req, bool has_path,
	      struct api_reply *out);

#endif
