/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_V1_READ_H
#define REGISTRY_V1_READ_H

#include <stdbool.h>

struct api;
struct api_reply;
struct api_request;
struct sbuf;
struct store_instance;
struct store_service;

void v1_read_instance(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_list(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_services(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_metrics(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_state(struct api *api, const struct api_request *req, struct api_reply *out);
void v1_read_health(struct api *api, const struct api_request *req, struct api_reply *out);

/* What v2 shares. The instance that cluster, ip and port name, or NULL; has_cluster says whether
 * there is any in that cluster. */
const struct store_instance *v1_read_match(const struct api *api, const struct store_service *svc,
					   const struct api_request *req, bool *has_cluster);
/* Whether a server stumbles over what is registered there; writes its reply then. */
bool v1_read_breaks(const struct api *api, const struct api_request *req,
		    const struct store_service *svc, struct api_reply *out);
/* Writes the list object of version 2 and 3. The service may be NULL: unknown. */
void v1_read_put_list(const struct api *api, const struct api_request *req, struct sbuf *b,
		      const struct store_service *svc, const char *clusters);
/* Whether the list "A,B" names the cluster; an empty one names all. */
bool v1_read_in_clusters(const char *list, const char *cluster);

#endif
