/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's health, told to the log
 *
 * Both lanes learn how a node is and share its state. nodes.c knows no log; here is the one line
 * that an outage writes, and the one that ends it.
 */
#include "http/health.h"

#include <inttypes.h>

#include "base/log.h"

bool health_failed(struct http_nodes *set, uint32_t node, uint64_t now_ms, const char *why)
{
	const struct http_node *n = &set->nodes[node];

	if (!http_nodes_failed(set, node, now_ms, why))
		return false;
	log_warning("registry.node_down", "node=%s error=%s next=\"%s\" retry_in_ms=%" PRIu64,
		    LOG_Q(n->base), LOG_Q(n->last_error),
		    set->n_in > 1 ? "other nodes are asked" : "retried after a back-off",
		    n->retry_ms - now_ms);
	return true;
}

bool health_answered(struct http_nodes *set, uint32_t node)
{
	if (!http_nodes_answered(set, node))
		return false;
	log_info("registry.node_up", "node=%s", LOG_Q(set->nodes[node].base));
	return true;
}
