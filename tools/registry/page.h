/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_PAGE_H
#define REGISTRY_PAGE_H

struct api;
struct api_reply;
struct api_request;

void page_instances(struct api *api, const struct api_request *req, struct api_reply *out);
void page_stats(struct api *api, const struct api_request *req, struct api_reply *out);

#endif
