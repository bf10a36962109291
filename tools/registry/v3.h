/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_V3_H
#define REGISTRY_V3_H

struct api;
struct api_reply;
struct api_request;

void v3_register(struct api *api, const struct api_request *req, struct api_reply *out);
void v3_list(struct api *api, const struct api_request *req, struct api_reply *out);

/* Of the admin API: what a witness reads. */
void v3_admin_list(struct api *api, const struct api_request *req, struct api_reply *out);
void v3_admin_services(struct api *api, const struct api_request *req, struct api_reply *out);
void v3_admin_metrics(struct api *api, const struct api_request *req, struct api_reply *out);
void v3_admin_state(struct api *api, const struct api_request *req, struct api_reply *out);
void v3_admin_health(struct api *api, const struct api_request *req, struct api_reply *out);

#endif
