/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_API_H
#define REGISTRY_API_H

#include "formdata.h"
#include "sbuf.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

/* What requests are counted as. API_OWN are the registry's own pages: not counted. */
enum api_kind {
	API_REGISTER,
	API_BEAT,
	API_DEREGISTER,
	API_LIST,
	API_OTHER,
	API_OWN,
	API_N_KINDS
};

struct api_stats {
	uint64_t connections_open;
	uint64_t connections_peak;
	uint64_t connections_total;
	uint64_t requests[API_N_KINDS];
};

struct auth;
struct cluster;

struct api {
	const struct mode *mode;
	struct store store;
	struct api_stats stats;
	double time_scale;
	struct auth *auth;             /* shared by all nodes */
	const struct cluster *cluster; /* that this is a member of, by the number `node` */
	unsigned int node;
};

struct api_request {
	const char *method;
	const char *path;   /* as sent, without the query */
	const char *accept; /* header values may be NULL */
	const char *user_agent;
	const char *authorization;
	const char *access_token;
	const char *identity; /* the header that names another server */
	struct formdata params;
	uint64_t now_ms; /* the store's clock */
	char *service;   /* GROUP@@name, once api_serve has put it together; or NULL */
	bool is_v1;      /* a call below /nacos/v1/ns/ */
};

struct api_reply {
	int status;
	const char *type;        /* Content-Type, or NULL for none */
	char allow[64];          /* methods that the path has, for its header; or empty */
	char authorization[128]; /* a header of a login's reply; or empty */
	bool chunked;
	struct sbuf body;
	enum api_kind kind;
	int beat_code; /* of a beat's reply, else 0 */
};
#define API_REPLY_NULL            \
	{                         \
		.kind = API_OTHER \
	}

/* Returns 0 or -ENOMEM. */
int api_init(struct api *api, const struct mode *mode, double time_scale, struct auth *auth);
void api_deinit(struct api *api);

/* Java clients of 1.0.0 and later, whom 1.4 treats apart. */
bool api_is_java_client(const struct api_request *req);

void api_serve(struct api *api, struct api_request *req, struct api_reply *out);

#endif
