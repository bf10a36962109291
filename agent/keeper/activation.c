/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors from the service manager
 *
 * systemd starts a service with descriptors from 3 on: sockets that it has bound (socket activation), and what
 * an earlier run has given it to keep (fdstore.c). LISTEN_FDNAMES tells which is which. A listening socket that
 * is not what its name says, or is bound somewhere else, stops the start: clients would connect to one that
 * nobody serves. LISTEN_PID guards against an environment that was inherited through some other program.
 */
#include "keeper/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#define FIRST_FD 3
#define FDS_MAX 1000000L

static long number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long n;

	if (!text || !*text)
		return -1;
	errno = 0;
	n = strtol(text, &end, 10);
	return errno == 0 && *end == '\0' ? n : -1;
}

/* One name of the list, without its colon: malloc'ed. */
static char *next_name(const char **rest)
{
	size_t n = *rest ? strcspn(*rest, ":") : 0;
	char *name = *rest ? strndup(*rest, n) : strdup("unknown");

	if (*rest)
		*rest = (*rest)[n] == ':' ? *rest + n + 1 : NULL;
	return name;
}

static int take_all(struct activation *a, uint32_t n)
{
	const char *names = getenv("LISTEN_FDNAMES");

	a->fds = calloc(n, sizeof(*a->fds));
	if (!a->fds)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int fd = FIRST_FD + (int)i;
		char *name = next_name(&names);

		if (!name)
			return -ENOMEM;
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
			log_warning("activation.closed", "fd=%d name=%s next=\"left out\"", fd,
				    LOG_Q(name));
			free(name);
			continue;
		}
		a->fds[a->n_fds++] = (struct activation_fd){ .fd = fd, .name = name };
	}
	return 0;
}

int activation_take(struct activation *a)
{
	long n = number("LISTEN_FDS");
	int r = 0;

	*a = (struct activation)ACTIVATION_NULL;
	if (n > 0 && n <= FDS_MAX && number("LISTEN_PID") == (long)getpid())
		r = take_all(a, (uint32_t)n);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_PIDFDID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return r;
}

void activation_deinit(struct activation *a)
{
	for (uint32_t i = 0; i < a->n_fds; i++) {
		if (a->fds[i].fd >= 0)
			close(a->fds[i].fd);
		free(a->fds[i].name);
	}
	free(a->fds);
	*a = (struct activation)ACTIVATION_NULL;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t n = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &n) == 0 ? value : -1;
}

static bool bound_to(int fd, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(at) - 1; /* so that it always ends */
	struct stat bound, wanted;

	if (getsockname(fd, (struct sockaddr *)&at, &n) < 0 || at.sun_path[0] != '/')
		return false;
	if (strcmp(at.sun_path, path) == 0)
		return true;
	return stat(at.sun_path, &bound) == 0 && stat(path, &wanted) == 0 &&
	       bound.st_dev == wanted.st_dev && bound.st_ino == wanted.st_ino;
}

/* What is wrong with it, NULL: nothing. */
static const char *fault_of(int fd, int type, const char *path)
{
	if (option(fd, SO_DOMAIN) != AF_UNIX)
		return "it is no Unix socket";
	if (option(fd, SO_TYPE) != type)
		return type == SOCK_STREAM
			       ? "it is not of type SOCK_STREAM (ListenStream=)"
			       : "it is not of type SOCK_SEQPACKET (ListenSequentialPacket=)";
	if (option(fd, SO_ACCEPTCONN) != 1)
		return "it does not listen (Accept=no is needed)";
	return bound_to(fd, path) ? NULL : "it is bound somewhere else";
}

int activation_socket(struct activation *a, const char *name, int type, const char *path,
		      char why[ACTIVATION_WHY_MAX])
{
	int found = -1;

	for (uint32_t i = 0; i < a->n_fds; i++) {
		struct activation_fd *f = &a->fds[i];
		const char *fault;

		if (f->fd < 0 || strcmp(f->name, name) != 0)
			continue;
		fault = found >= 0 ? "it is given twice" : fault_of(f->fd, type, path);
		if (!fault && fcntl(f->fd, F_SETFL, O_NONBLOCK) < 0)
			fault = strerror(errno);
		if (fault) {
			snprintf(why, ACTIVATION_WHY_MAX,
				 "the service manager's socket %s will not do for %s: %s", name,
				 path, fault);
			if (found >= 0)
				close(found);
			return -EINVAL;
		}
		found = f->fd;
		f->fd = -1;
	}
	return found;
}

const char *activation_stray(const struct activation *a)
{
	for (uint32_t i = 0; i < a->n_fds; i++) {
		if (a->fds[i].fd >= 0 && option(a->fds[i].fd, SO_ACCEPTCONN) == 1)
			return a->fds[i].name;
	}
	return NULL;
}
