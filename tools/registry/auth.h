/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_AUTH_H
#define REGISTRY_AUTH_H

#include <stdbool.h>
#include <stdint.h>

struct api;
struct api_reply;
struct api_request;

enum {
	AUTH_NAME_MAX = 128,
	AUTH_TTL_MAX_S = 10 * 365 * 86400,
};

/* Who may call. One of these serves all nodes of a cluster: they share the secret. */
struct auth {
	bool on;
	char user[AUTH_NAME_MAX];
	char password[AUTH_NAME_MAX];
	char identity_name[AUTH_NAME_MAX]; /* of a header that passes everything; empty: none */
	char identity_value[AUTH_NAME_MAX];
	uint32_t ttl_s;
	uint64_t secret;
};

void auth_init(struct auth *a);

/* Takes "USER:PASSWORD" and switches on; "NAME:VALUE" of the identity header. Return false when
 * either half is empty or too long. */
bool auth_set_user(struct auth *a, const char *text);
bool auth_set_identity(struct auth *a, const char *text);
/* From 1 to AUTH_TTL_MAX_S; holds for tokens given from now on. */
bool auth_set_ttl(struct auth *a, const char *seconds);
void auth_set_off(struct auth *a);
/* Changes the secret: every token given so far is forged now. */
void auth_rotate(struct auth *a);

/* Whether the request may pass; else it has written the 403. */
bool auth_admits(const struct api *api, const struct api_request *req, struct api_reply *out);

/* POST login, of v1 and of v3. */
void auth_login(struct api *api, const struct api_request *req, struct api_reply *out);

#endif
