/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_RESULT_H
#define HTTP_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_end {
	HTTP_ANSWERED, /* a whole reply came */
	HTTP_UNSENT,   /* no server took it: nothing can have been carried out */
	HTTP_LOST      /* sent, and no whole reply came: it may have been carried out */
};

/* What became of one request; borrowed, valid during the callback. */
struct http_result {
	enum http_end end;
	int status;       /* 0 unless answered */
	const char *body; /* never NULL; NUL-terminated */
	size_t n_body;
	const char *node;     /* address that spoke or failed last; never NULL */
	const char *why;      /* when not answered: one static or borrowed sentence; else "" */
	unsigned int n_tried; /* nodes asked */
	bool lost;            /* a node that was sent it did not answer, and may yet carry it out */
};

/*
 * Called once for every submitted request, from the lane's own turn, never from inside submit. The
 * callee may submit again.
 */
typedef void (*http_done_fn)(void *ctx, void *tag, uint32_t serial,
			     const struct http_result *result);

#define HTTP_BODY_MAX 65536u /* a longer reply body is cut: nothing of interest is longer */
#define HTTP_CONNECT_MS 2000u
#define HTTP_TOTAL_MS 4000u /* above 2.5 s: a forward to a dead member takes 2 s to fail */

#endif
