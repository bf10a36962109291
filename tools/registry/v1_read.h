/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_V1_READ_H
#define REGISTRY_V1_READ_H

struct api;
struct api_reply;
struct api_request;

void v1_read_instance(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_list(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_services(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_metrics(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_health(struct api *api, const struct api_request *req, struct api_reply *out);
/* The same question in the API of version 3. */
void v1_read_health_v3(struct api *api, const struct api_request *req, struct api_reply *out);

#endif
