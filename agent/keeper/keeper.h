/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <stdint.h>

#define KEEPER_STOP_WAIT_MS 10000u

struct keeper_options {
	const char *runtime_dir;
	/* Absolute path of the installed binary, found before anything changes. */
	const char *program;
	/* Our own arguments: the agent gets them, with --agent-manifest=FD behind argv[0]. */
	char *const *argv;
	/* How long a stopping agent may take before it is killed; 0: KEEPER_STOP_WAIT_MS. */
	uint32_t stop_wait_ms;
};

/*
 * Runs the keeper until it is told to stop; returns the exit status: 0, 1, or what the agent leaves
 * with. Must be called while the process has one thread.
 */
int keeper_run(const struct keeper_options *options);

#endif
