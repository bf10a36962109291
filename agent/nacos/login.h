/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_LOGIN_H
#define NACOS_LOGIN_H

#include <stddef.h>
#include <stdint.h>

#include "nacos/api.h"

/* JWTs of the servers' own plugin have about 200 bytes. */
#define LOGIN_TOKEN_MAX 4095u

enum login_verdict {
	LOGIN_OK,
	LOGIN_DENIED, /* user or password: asking again at once is of no use */
	LOGIN_FAILED, /* transient, a reply that makes no sense, or (2.x, 3.x) a wrong user behind a 500 */
	LOGIN_NO_API /* this server logs in by the other version's path */
};

struct login_outcome {
	enum login_verdict verdict;
	int code;                        /* the code inside the reply, else the HTTP status */
	uint32_t ttl_s;                  /* 0: not said */
	size_t n_token;                  /* 0 unless LOGIN_OK */
	char token[LOGIN_TOKEN_MAX + 1]; /* a secret, fit for a header line */
	char text[128]; /* what the server says went wrong, one printable line; "" when all is well */
};

/* POST: path; and body, a form, which is a secret and the caller's to wipe. 0 when size is too small. */
size_t login_path(const struct nacos_api *api, char *buf, size_t size);
size_t login_body(const char *user, const char *password, char *buf, size_t size);

/* Judges a whole reply to that (nacos-http 3.4). body may hold any bytes; it is the caller's to wipe. */
void login_judge(int status, const char *body, size_t n_body, struct login_outcome *out);
/* Wipes the token. Idempotent. */
void login_outcome_wipe(struct login_outcome *out);

#endif
