/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_REPLY_H
#define NACOS_REPLY_H

#include <stddef.h>
#include <stdint.h>

enum nacos_call {
	NACOS_REGISTER,
	NACOS_DEREGISTER,
	NACOS_BEAT
};

enum nacos_verdict {
	NACOS_OK,
	NACOS_UNKNOWN, /* a beat for an instance that the server does not know: 20404 */
	NACOS_REFUSED, /* permanent: the instance's own fault */
	NACOS_DENIED,  /* 401, 403 */
	NACOS_FAILED,  /* transient, or a reply that makes no sense */
	NACOS_NO_API   /* 404, 410, 501: this server does not speak this API */
};

struct nacos_outcome {
	enum nacos_verdict verdict;
	int code;             /* the beat's code, else the HTTP status */
	uint32_t interval_ms; /* clientBeatInterval; 0: none */
	char text[128]; /* what the server says went wrong, one printable line; "" when all is well */
};

/* Judges a whole reply by status and code alone (nacos-http 0.7, 1.13, 2.3). body may hold any bytes. */
void nacos_judge(enum nacos_call call, int status, const char *body, size_t n_body,
		 struct nacos_outcome *out);

#endif
