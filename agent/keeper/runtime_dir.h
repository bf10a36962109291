/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_RUNTIME_DIR_H
#define KEEPER_RUNTIME_DIR_H

#include <stdbool.h>
#include <sys/types.h>

#include "keeper/activation.h"

/* The runtime folder: taken for us alone, with the two listening sockets in it. */
struct runtime_dir {
	const char *path; /* the caller's */
	int dir_fd;
	int lock_fd;
	int clients_fd;
	int control_fd;
	bool keep_clients; /* the service manager has bound it: its file stays when we go */
	bool keep_control;
};

#define RUNTIME_DIR_NULL                                                        \
	{                                                                       \
		.dir_fd = -1, .lock_fd = -1, .clients_fd = -1, .control_fd = -1 \
	}

#define RUNTIME_DIR_WHY_MAX ACTIVATION_WHY_MAX

#define RUNTIME_DIR_LOCKED 1

/*
 * Makes the folder when missing, checks it, takes its lock. 0; RUNTIME_DIR_LOCKED: another onebeatd
 * has it (*holder: its pid, 0 when it has not said yet); or a negative errno with a sentence in
 * why.
 */
int runtime_dir_take(struct runtime_dir *rd, const char *path, pid_t *holder,
		     char why[RUNTIME_DIR_WHY_MAX]);
/*
 * Binds client.sock and control.sock in a folder that is taken, but for what the service manager has bound
 * already. 0 or a negative errno with a sentence in why.
 */
int runtime_dir_bind(struct runtime_dir *rd, struct activation *given,
		     char why[RUNTIME_DIR_WHY_MAX]);
/* Gives control.sock to a group, by name or number, unless it is the service manager's. 0 or a negative errno
 * with a sentence in why. */
int runtime_dir_give(const struct runtime_dir *rd, const char *group,
		     char why[RUNTIME_DIR_WHY_MAX]);
/* Unlinks the sockets that were bound, gives the lock back; everything else in the folder stays. */
void runtime_dir_deinit(struct runtime_dir *rd);

#endif
