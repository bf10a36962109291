/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_HEALTH_H
#define HTTP_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "http/nodes.h"

/* Transport news of a node, for its health and, when that changed (true), for the log. */
bool health_failed(struct http_nodes *set, uint32_t node, uint64_t now_ms, const char *why);
bool health_answered(struct http_nodes *set, uint32_t node);

#endif
