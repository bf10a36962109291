/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_RUNTIME_DIR_H
#define ONEBEAT_RUNTIME_DIR_H

#include <sys/un.h>

#include <onebeat/lease.h>

struct runtime_dir {
	char given[ONEBEAT_RUNTIME_DIR_MAX + 1]; /* by option or environment; "": look for it */
	char xdg[ONEBEAT_RUNTIME_DIR_MAX + 1];   /* $XDG_RUNTIME_DIR/onebeat; "": none */
};

/* Reads option and environment, once. 0 or ONEBEAT_E_RUNTIME_DIR. */
int onebeat__runtime_dir_init(struct runtime_dir *dir, const char *option);
/* The client socket's address as things stand now. */
void onebeat__runtime_dir_address(const struct runtime_dir *dir, struct sockaddr_un *out);

#endif
