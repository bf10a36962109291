/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heads of beats
 *
 * All that the beats to a node have in common is rendered once and copied behind each request line.
 * It holds the token, so it is rendered again when that changes, and wiped before it goes.
 */
#include "http/beat_head.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/https.h"

#define HOST_MAX 512

int beat_head_render(struct beat_head *head, const struct http_nodes *nodes, uint32_t node)
{
	const struct http_node *at = &nodes->nodes[node];
	uint32_t generation = https_generation(nodes->link);
	char buf[HOST_MAX];
	const char *token;
	char *text;
	int n;

	if (head->text && head->generation == generation)
		return 0;
	token = https_token(nodes->link, at->base);
	n = asprintf(&text,
		     "Host: %s\r\n"
		     "User-Agent: " CURL_GLUE_AGENT "\r\n"
		     "Client-Version: " ONEBEAT_VERSION "\r\n"
		     "Accept: application/json, */*\r\n"
		     "%s%s%s" BEAT_HEAD_NO_BODY,
		     https_host(nodes->link, at->base, at->host, buf, sizeof(buf)),
		     token ? "Authorization: Bearer " : "", token ? token : "",
		     token ? "\r\n" : "");
	if (n < 0)
		return -ENOMEM;
	beat_head_deinit(head);
	*head = (struct beat_head){ .text = text, .n = (size_t)n, .generation = generation };
	return 0;
}

void beat_head_deinit(struct beat_head *head)
{
	secret_wipe_text(head->text);
	free(head->text);
	*head = (struct beat_head){ 0 };
}
