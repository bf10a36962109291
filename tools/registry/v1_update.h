/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_V1_UPDATE_H
#define REGISTRY_V1_UPDATE_H

struct api;
struct api_reply;
struct api_request;

/* PUT: 1.4 changes the instance, or registers it; later ones lay it over. Also of v2 and v3. */
void v1_update(struct api *api, const struct api_request *req, struct api_reply *out);
/* PATCH: the same for the parameters that are given. Also of v2. */
void v1_patch(struct api *api, const struct api_request *req, struct api_reply *out);
/* GET statuses. */
void v1_statuses(struct api *api, const struct api_request *req, struct api_reply *out);

#endif
