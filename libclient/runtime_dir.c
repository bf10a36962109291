/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the agent's sockets are
 *
 * The option, else $ONEBEAT_RUNTIME_DIR, else the system's folder if a client socket is in it, else the user's.
 * The environment is read once, at open: later another thread might be changing it. Which of system's and
 * user's folder it is, is looked up at every attempt, because the agent may come later than we do.
 */
#include "runtime_dir.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <onebeat/onebeat.h>

#define XDG_TAIL "/onebeat"
#define SOCKET_TAIL "/" ONEBEAT_CLIENT_SOCKET

_Static_assert(ONEBEAT_RUNTIME_DIR_MAX + sizeof(SOCKET_TAIL) <=
		       sizeof(((struct sockaddr_un *)0)->sun_path),
	       "the longest folder's socket has an address");

/* Appends when there is room for it. */
static bool append(char *to, size_t size, const char *text)
{
	size_t used = strlen(to);
	size_t n = strlen(text);

	if (n >= size - used)
		return false;
	memcpy(to + used, text, n);
	to[used + n] = '\0';
	return true;
}

int onebeat__runtime_dir_init(struct runtime_dir *dir, const char *option)
{
	const char *given = option ? option : secure_getenv("ONEBEAT_RUNTIME_DIR");
	const char *xdg = secure_getenv("XDG_RUNTIME_DIR");

	memset(dir, 0, sizeof(*dir));
	if (option || (given && given[0])) {
		if (given[0] != '/' || !append(dir->given, sizeof(dir->given), given))
			return ONEBEAT_E_RUNTIME_DIR;
		return 0;
	}
	if (!xdg || xdg[0] != '/' || !append(dir->xdg, sizeof(dir->xdg), xdg) ||
	    !append(dir->xdg, sizeof(dir->xdg), XDG_TAIL))
		dir->xdg[0] = '\0'; /* not ours to complain about */
	return 0;
}

static void address_in(struct sockaddr_un *out, const char *folder)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	(void)append(out->sun_path, sizeof(out->sun_path), folder);
	(void)append(out->sun_path, sizeof(out->sun_path), SOCKET_TAIL);
}

void onebeat__runtime_dir_address(const struct runtime_dir *dir, struct sockaddr_un *out)
{
	if (dir->given[0]) {
		address_in(out, dir->given);
		return;
	}
	address_in(out, ONEBEAT_RUNTIME_DIR_SYSTEM);
	if (dir->xdg[0] && access(out->sun_path, F_OK) != 0)
		address_in(out, dir->xdg);
}
