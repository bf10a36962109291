/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_MEMBERS_H
#define REGISTRY_MEMBERS_H

struct api;
struct api_reply;
struct api_request;

/* 1.4: operator/servers. */
void members_servers(struct api *api, const struct api_request *req, struct api_reply *out);
/* v1: core/cluster/nodes and simple/nodes. */
void members_nodes(struct api *api, const struct api_request *req, struct api_reply *out);
void members_simple(struct api *api, const struct api_request *req, struct api_reply *out);
/* v2 and v3: core/cluster/node/list. */
void members_list(struct api *api, const struct api_request *req, struct api_reply *out);

/* Who is responsible: for a service in 1.4, for ip and port later. */
void members_owner_of_service(struct api *api, const struct api_request *req,
			      struct api_reply *out);
void members_owner_of_client(struct api *api, const struct api_request *req, struct api_reply *out);

#endif
