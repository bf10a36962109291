/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/descriptor.h"
#include "base/loop.h"
#include "base/secret.h"
#include "http/https.h"
#include "http/login_flight.h"
#include "http/nodes.h"
#include "http/registry_options.h"
#include "http/session.h"
#include "nacos/api.h"
#include "nacos/sign.h"

#define ACCESS_PARAMS_MAX 2048u /* what signing adds to a request */

/* By what right requests to one registry go: as a user, signed, or neither. Must not move. */
struct access {
	const char *registry; /* its name, for the log */
	const struct nacos_api *api;
	struct https_link *link; /* learns of tokens */
	const struct http_nodes *nodes;
	struct session session;
	struct login_flight *flight;
	uint32_t connect_ms;
	uint32_t total_ms;
	bool failing; /* the log knows */
	uint32_t n_logins;
	char last_error[128];               /* of a login; "" when the last one was granted */
	char access_key[SIGN_NAME_MAX + 1]; /* "": nothing is signed */
	char region[SIGN_NAME_MAX + 1];
	struct secret secret_key;
	struct sign_key key;
};

struct access_options {
	const char *registry;
	const struct nacos_api *api;
	struct https_link *link;
	uint32_t connect_ms;
	uint32_t total_ms;
};

/* What is given outlives it. 0 or -ENOMEM; access_deinit() in any case, once loop and nodes are still there. */
int access_init(struct access *a, const struct access_options *options, struct loop *loop,
		struct http_nodes *nodes);
void access_deinit(struct access *a);

/*
 * Reads the secrets from where the configuration says, and goes on with them: what is the same changes nothing.
 * A negative errno: one cannot be had, and the log says why; everything stays as it was.
 */
int access_set(struct access *a, const struct registry_login *login, uint64_t now_ms);

/* Can the secrets be had? 0, or a negative errno and why. Nothing is kept of them. */
int access_check(const struct registry_login *login, char why[SECRET_WHY_MAX]);

/* For tools; the sender's thread. */
struct access_status {
	const char *login; /* "none", "waiting" for the first, "granted", "failing" */
	const char *last_error;
	uint32_t n_logins;
};
void access_status(const struct access *a, struct access_status *out);

/* A request was refused for want of rights. True: send it again, access_holds() says when. */
bool access_denied(struct access *a, uint64_t now_ms);
/* Requests are to wait for a login that is on its way. */
static inline bool access_holds(const struct access *a, uint64_t now_ms)
{
	return session_holds(&a->session, now_ms);
}

static inline bool access_signs(const struct access *a)
{
	return a->access_key[0] != '\0';
}

/*
 * The query parameters that sign a request of this instance now, each with a '&' before it; "" when nothing is
 * signed. Their length; 0 also when they do not fit.
 */
size_t access_params(struct access *a, const struct descriptor *d, char *buf, size_t size);

void access_tick(struct access *a, uint64_t now_ms);
uint64_t access_due_ms(const struct access *a, uint64_t now_ms);

#endif
