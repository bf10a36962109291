/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_CHECK_H
#define REGISTRY_CHECK_H

#include <stdbool.h>

struct api;
struct api_reply;
struct api_request;
struct store_spec;

/* Which parameters the parameter check looks at. */
enum check_set {
	CHECK_NOTHING,
	CHECK_INSTANCE,
	CHECK_BEAT,
	CHECK_LIST
};

/* Each returns true when all is well, else it has written the reply. */

/* The parameter check that newer servers do before anything else. */
bool check_params(const struct api_request *req, enum check_set set, struct api_reply *out);
/* What is asked of an instance that is to be stored. */
bool check_instance(const struct api *api, const struct api_request *req,
		    const struct store_spec *spec, bool new_service, struct api_reply *out);

#endif
