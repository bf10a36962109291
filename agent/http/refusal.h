/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_REFUSAL_H
#define HTTP_REFUSAL_H

#include <stddef.h>
#include <stdint.h>

/* A 5xx, kept while another node is asked: the request's result if that one says nothing. */
struct refusal {
	int status;
	uint32_t node;
	size_t n_body;
	char body[];
};

/* Copies body. NULL when memory is out. */
struct refusal *refusal_new(int status, uint32_t node, const char *body, size_t n_body);
/* Takes NULL, returns NULL. */
struct refusal *refusal_free(struct refusal *refusal);

#endif
