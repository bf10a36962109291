/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_V2_H
#define REGISTRY_V2_H

struct api;
struct api_reply;
struct api_request;

/* These two are v3's as well. */
void v2_register(struct api *api, const struct api_request *req, struct api_reply *out);
void v2_deregister(struct api *api, const struct api_request *req, struct api_reply *out);

void v2_detail(struct api *api, const struct api_request *req, struct api_reply *out);
void v2_list(struct api *api, const struct api_request *req, struct api_reply *out);

#endif
