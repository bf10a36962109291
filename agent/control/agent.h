/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_AGENT_H
#define CONTROL_AGENT_H

#include "control/config.h"
#include "control/reload.h"

/* In the environment when the keeper has another program to start, should this one decline. */
#define AGENT_MAY_DECLINE "ONEBEAT_AGENT_MAY_DECLINE"
/* Exit status of an agent whose keeper or journal is of a version that it does not understand. */
#define AGENT_OTHER_VERSION 3

/*
 * The agent process: adopts what the manifest names, runs watcher, sender and control threads, returns the exit
 * status. Called once, from main, in the process that the keeper has started.
 */
int agent_run(const struct config *cfg, const struct reload_source *source, int manifest_fd);

/*
 * The configuration that the keeper hands down, as a file; -1: there is none. manifest_fd stays as it is.
 */
int agent_settings(int manifest_fd);

#endif
