/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer that is not the last word
 *
 * A server's 5xx may be its own trouble, so another node is asked. What the first one said must
 * outlive the connection it came on.
 */
#include "http/refusal.h"

#include <stdlib.h>
#include <string.h>

struct refusal *refusal_new(int status, uint32_t node, const char *body, size_t n_body)
{
	struct refusal *refusal = malloc(sizeof(*refusal) + n_body + 1);

	if (!refusal)
		return NULL;
	refusal->status = status;
	refusal->node = node;
	refusal->n_body = n_body;
	memcpy(refusal->body, body, n_body);
	refusal->body[n_body] = '\0';
	return refusal;
}

struct refusal *refusal_free(struct refusal *refusal)
{
	free(refusal);
	return NULL;
}
