/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_FORM_H
#define REGISTRY_FORM_H

#include <stdbool.h>

struct api;
struct api_reply;
struct api_request;
struct store_key;
struct store_spec;

/* Each returns true when all is well, else it has written the reply. */

/* The parameters that name an instance. */
bool form_key(const struct api *api, const struct api_request *req, struct store_key *key,
	      struct api_reply *out);
/* All that describe one; the caller frees the metadata whatever is returned. */
bool form_spec(const struct api *api, const struct api_request *req, struct store_spec *spec,
	       struct api_reply *out);
/* Checks what was read as a whole, and puts a weight that is too small right. */
bool form_check(struct api *api, const struct api_request *req, struct store_spec *spec,
		struct api_reply *out);
/* Does so and stores it. */
bool form_store(struct api *api, const struct api_request *req, struct store_spec *spec,
		struct api_reply *out);

/* The cluster that the parameters name; `fallback` when they name none. */
const char *form_cluster(const struct api_request *req, const char *fallback);

#endif
