/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_HEAD_H
#define HTTP_BEAT_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "http/nodes.h"

#define BEAT_HEAD_NO_BODY "Content-Length: 0\r\n\r\n" /* how it ends */

/* What follows the request line of every beat to a node, with the blank line. */
struct beat_head {
	char *text;
	size_t n;
	uint32_t generation; /* of the token in it */
};

/* Renders it, anew when the token is another. 0; -ENOMEM leaves it as it was. */
int beat_head_render(struct beat_head *head, const struct http_nodes *nodes, uint32_t node);
/* Idempotent. */
void beat_head_deinit(struct beat_head *head);

#endif
