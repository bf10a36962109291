/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <stdint.h>

#define KEEPER_STOP_WAIT_MS 10000u
#define KEEPER_STATE_OPTION "--keeper-state="

struct keeper_options {
	const char *runtime_dir;
	const char *control_group; /* name or number; NULL: our own */
	/* Absolute path of the installed binary, found before anything changes. */
	const char *program;
	/*
	 * The program that we are ourselves, whatever has become of its file: taken when the
	 * installed one cannot be used. NULL: none.
	 */
	const char *own_image;
	/* Our own arguments: the agent gets them, with --agent-manifest=FD behind argv[0]. */
	char *const *argv;
	/* How long a stopping agent may take before it is killed; 0: KEEPER_STOP_WAIT_MS. */
	uint32_t stop_wait_ms;
	/* How long each step of an upgrade may take; 0: what upgrade.h and probe.h say. */
	uint32_t upgrade_wait_ms;
	/*
	 * 0 or less: we start afresh; else what a keeper left that executed us in its place (state.h),
	 * and runtime_dir is not looked at.
	 */
	int state_fd;
};

/*
 * Runs the keeper until it is told to stop; returns the exit status: 0, 1, or what the agent leaves
 * with. Must be called while the process has one thread.
 */
int keeper_run(const struct keeper_options *options);
/*
 * Could we take over from the keeper that shows its state here (closed), being configured for that folder? 0, or
 * a negative errno: -EPROTO: it is of another version; -EXDEV: it has another folder.
 */
int keeper_check_state(int fd, const char *runtime_dir);

#endif
