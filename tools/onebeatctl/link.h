/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEATCTL_LINK_H
#define ONEBEATCTL_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include <onebeat/control.h>

/* Called for each line of an answer but the last; false ends the reading. */
typedef bool (*link_line_fn)(void *ctx, const char *line, size_t n);

/*
 * Sends verb to the agent in dir (NULL: where it usually is) and reads its answer. 0, or 1 with the reason on
 * stderr: no agent there, refused, or an answer that was cut short.
 */
int link_ask(const char *dir, enum onebeat_control_verb verb, link_line_fn fn, void *ctx);

#endif
