/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address server's page
 *
 * One address a line. Unless told otherwise it lists the nodes of this registry; what it is told
 * it repeats to the byte, so that a list can shrink, empty, break or come with other line ends.
 */
#include "endpoint.h"

#include "api.h"
#include "cluster.h"
#include "respond.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

bool endpoint_set(struct endpoint *e, const char *text, int status)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return false;
	free(e->text);
	e->text = copy;
	e->status = status;
	return true;
}

void endpoint_deinit(struct endpoint *e)
{
	free(e->text);
	*e = (struct endpoint)ENDPOINT_NULL;
}

void endpoint_serve(const struct endpoint *e, const struct cluster *cluster,
		    const struct api_request *req, struct api_reply *out)
{
	if (strcmp(req->method, "GET") != 0) {
		respond_html(out, MHD_HTTP_METHOD_NOT_ALLOWED);
		return;
	}
	respond_text(out, e->text ? e->text : "");
	out->status = e->status;
	for (unsigned int i = 0; !e->text && i < cluster->n_members; i++)
		sbuf_fmt(&out->body, "%s\n", cluster->members[i].address);
}
