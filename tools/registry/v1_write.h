/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_V1_WRITE_H
#define REGISTRY_V1_WRITE_H

struct api;
struct api_reply;
struct api_request;

void v1_write_register(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_write_deregister(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_write_beat(struct api *api, const struct api_request *req, struct api_reply *out);

#endif
