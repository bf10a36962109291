/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_ACTIVATION_H
#define KEEPER_ACTIVATION_H

#include <stdint.h>

#define ACTIVATION_WHY_MAX 256

/* A descriptor that the service manager has handed us, under its name; fd -1: taken. */
struct activation_fd {
	int fd;
	char *name;
};

struct activation {
	struct activation_fd *fds;
	uint32_t n_fds;
};

#define ACTIVATION_NULL     \
	{                   \
		.fds = NULL \
	}

/*
 * Takes what LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES tell of, when it is for us, and takes the variables
 * out of the environment. 0 or -ENOMEM.
 */
int activation_take(struct activation *a);
/* Closes what nobody took. */
void activation_deinit(struct activation *a);

/*
 * The listening socket of that name, which has to be a Unix socket of that type bound to path; it is the
 * caller's then. -1: there is none. -EINVAL: there is, or there are two, and why says what is wrong.
 */
int activation_socket(struct activation *a, const char *name, int type, const char *path,
		      char why[ACTIVATION_WHY_MAX]);
/* Is there a listening socket left that nobody asked for? Its name; NULL. */
const char *activation_stray(const struct activation *a);

#endif
