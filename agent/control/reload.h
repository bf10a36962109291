/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_RELOAD_H
#define CONTROL_RELOAD_H

#include "beat/dom2beat.h"
#include "control/config.h"

/* Where the configuration is read anew, as at the start: files, environment, command line. 0, or negative with a sentence. */
struct reload_source {
	int (*load)(void *ctx, struct config *out, char error[CONFIG_ERROR_MAX]);
	void *ctx;
};

struct reload_options {
	const struct config *cfg; /* in force */
	struct reload_source source;
	struct dom2beat *map;
	int keeper_fd;
};

/*
 * Reads the configuration anew and, when all of it is good, has the keeper start an agent with it, which tells who
 * waits at tool_fd (-1: nobody; the caller's). 0: this agent will be told to make way; or negative with a sentence,
 * and nothing has changed. Any thread that is registered with liburcu; may wait for name services.
 */
int reload_begin(const struct reload_options *o, int tool_fd, char error[CONFIG_ERROR_MAX]);

/* The configuration as the next agent is to read it, in a memfd; negative: there is no memory. */
int reload_settings(const struct config *cfg);

#endif
