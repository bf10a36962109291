/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_REPLY_H
#define NACOS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nacos/api.h"

enum nacos_call {
	NACOS_REGISTER,
	NACOS_DEREGISTER,
	NACOS_BEAT
};

enum nacos_verdict {
	NACOS_OK,
	NACOS_UNKNOWN, /* a beat for an instance that the server does not know: 20404, 21003 */
	NACOS_REFUSED, /* permanent: the instance's own fault */
	NACOS_DENIED,  /* 401, 403 */
	NACOS_FAILED,  /* transient, or a reply that makes no sense */
	NACOS_NO_API   /* 404, 410, 501: this server does not speak this API */
};

struct nacos_outcome {
	enum nacos_verdict verdict;
	int code;             /* the code inside the reply, but for 0; else the HTTP status */
	uint32_t interval_ms; /* clientBeatInterval; 0: none */
	bool head_refused;    /* possibly for its length alone: 414, 431, or a page with a 400 */
	char text[128]; /* what the server says went wrong, one printable line; "" when all is well */
};

/*
 * Judges a whole reply by status and code alone (nacos-http 0.7, 1.11, 1.13, 2.3). body may hold any bytes.
 */
void nacos_judge(enum nacos_version version, enum nacos_call call, int status, const char *body,
		 size_t n_body, struct nacos_outcome *out);

#endif
