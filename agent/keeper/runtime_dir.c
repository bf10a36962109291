/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime folder
 *
 * Who may write here may put a socket of his own in our sockets' place and be told what every
 * process registers, or a journal of his own that the next start believes. So the folder must be
 * ours and nobody else may write to it (an access list that lets others write shows in the group
 * bits). It is opened once, without following a link in its last part, and looked at through that
 * descriptor.
 *
 * The lock is a flock on a file: the kernel lets go of it however we end, and its descriptor is
 * CLOEXEC, so that an agent which outlives its keeper for a moment does not bar a new one. The file
 * only says who has it. Nothing is unlinked or bound before the lock is ours; under it, sockets
 * that are found are stale.
 *
 * File modes are made by the umask, whatever it was, at mkdir() and bind(), so that there is no
 * moment at which control.sock has a wider one. Clients of any uid may connect to client.sock: who
 * they are is asked of the kernel later.
 */
#include "keeper/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <onebeat/control.h>
#include <onebeat/lease.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LOCK_NAME "lock"
#define LOCK_MODE 0600
#define DIR_MODE 0755
#define CLIENTS_MODE 0666
#define CONTROL_MODE 0660
#define CLIENTS_BACKLOG 4096 /* also what a fork storm queues while the agent is being restarted */
#define CONTROL_BACKLOG 64

/* Fills why, returns r. */
__attribute__((format(printf, 3, 4))) static int fail(int r, char why[RUNTIME_DIR_WHY_MAX],
						      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, RUNTIME_DIR_WHY_MAX, fmt, ap);
	va_end(ap);
	return r;
}

static int make_folder(const char *path)
{
	mode_t before = umask(0777 & ~DIR_MODE);
	int r = mkdir(path, DIR_MODE) < 0 && errno != EEXIST ? -errno : 0;

	umask(before);
	return r;
}

static int open_folder(struct runtime_dir *rd, char why[RUNTIME_DIR_WHY_MAX])
{
	int r = make_folder(rd->path);

	if (r < 0)
		return fail(r, why, "cannot make %s: %s", rd->path, strerror(-r));
	rd->dir_fd = open(rd->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (rd->dir_fd < 0)
		return fail(-errno, why, "cannot open %s as a folder: %s", rd->path,
			    strerror(errno));
	return 0;
}

static int check_folder(const struct runtime_dir *rd, char why[RUNTIME_DIR_WHY_MAX])
{
	struct stat st;

	if (fstat(rd->dir_fd, &st) < 0)
		return fail(-errno, why, "cannot look at %s: %s", rd->path, strerror(errno));
	if (st.st_uid != geteuid())
		return fail(
			-EPERM, why,
			"%s belongs to uid %u, and we are %u: the runtime folder must be our own",
			rd->path, st.st_uid, geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return fail(-EPERM, why,
			    "%s has mode %04o: nobody else may write to the runtime folder",
			    rd->path, st.st_mode & 07777u);
	return 0;
}

static pid_t read_holder(int lock_fd)
{
	char text[16] = "";
	ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);

	return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* Of one width, so that one write replaces a predecessor's pid as a whole. */
static int write_holder(int lock_fd)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%10d\n", (int)getpid());

	return pwrite(lock_fd, text, (size_t)n, 0) == n ? 0 : -EIO;
}

static int take_lock(struct runtime_dir *rd, pid_t *holder, char why[RUNTIME_DIR_WHY_MAX])
{
	CLEANUP(close_fdp)
	int fd = openat(rd->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			LOCK_MODE);

	if (fd < 0)
		return fail(-errno, why, "cannot open %s/%s: %s", rd->path, LOCK_NAME,
			    strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return fail(-errno, why, "cannot lock %s/%s: %s", rd->path, LOCK_NAME,
				    strerror(errno));
		*holder = read_holder(fd);
		return RUNTIME_DIR_LOCKED;
	}
	if (fchmod(fd, LOCK_MODE) < 0 || write_holder(fd) < 0)
		return fail(-EIO, why, "cannot write to %s/%s", rd->path, LOCK_NAME);
	rd->lock_fd = take_fd(&fd);
	return 0;
}

int runtime_dir_take(struct runtime_dir *rd, const char *path, pid_t *holder,
		     char why[RUNTIME_DIR_WHY_MAX])
{
	int r;

	*rd = (struct runtime_dir)RUNTIME_DIR_NULL;
	rd->path = path;
	*holder = 0;
	if (strlen(path) > ONEBEAT_RUNTIME_DIR_MAX)
		return fail(-ENAMETOOLONG, why,
			    "%s is longer than the %u bytes that leave room for a socket's name",
			    path, ONEBEAT_RUNTIME_DIR_MAX);
	r = open_folder(rd, why);
	if (r == 0)
		r = check_folder(rd, why);
	if (r == 0)
		r = take_lock(rd, holder, why);
	return r;
}

static int bind_with_mode(int sock, const struct sockaddr_un *at, mode_t mode)
{
	mode_t before = umask(0777 & ~mode);
	int r = bind(sock, (const struct sockaddr *)at, sizeof(*at)) < 0 ? -errno : 0;

	umask(before);
	return r;
}

static int make_socket(const struct runtime_dir *rd, const char *name, int type, mode_t mode,
		       int backlog)
{
	CLEANUP(close_fdp) int sock = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int r;

	if (sock < 0)
		return -errno;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", rd->path, name);
	if (unlinkat(rd->dir_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	r = bind_with_mode(sock, &at, mode);
	if (r < 0)
		return r;
	return listen(sock, backlog) < 0 ? -errno : take_fd(&sock);
}

/* The manager's socket, or one that we bind. */
static int take_socket(struct runtime_dir *rd, struct activation *given, const char *name, int type,
		       mode_t mode, int backlog, bool *keep, char why[RUNTIME_DIR_WHY_MAX])
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int r;

	snprintf(path, sizeof(path), "%s/%s", rd->path, name);
	r = activation_socket(given, name, type, path, why);
	*keep = r >= 0;
	if (r == -EINVAL || r >= 0)
		return r;
	r = make_socket(rd, name, type, mode, backlog);
	return r < 0 ? fail(r, why, "cannot bind %s: %s", path, strerror(-r)) : r;
}

int runtime_dir_bind(struct runtime_dir *rd, struct activation *given,
		     char why[RUNTIME_DIR_WHY_MAX])
{
	const char *stray;
	int r;

	r = take_socket(rd, given, ONEBEAT_CLIENT_SOCKET, SOCK_SEQPACKET, CLIENTS_MODE,
			CLIENTS_BACKLOG, &rd->keep_clients, why);
	if (r < 0)
		return r;
	rd->clients_fd = r;
	r = take_socket(rd, given, ONEBEAT_CONTROL_SOCKET, SOCK_STREAM, CONTROL_MODE,
			CONTROL_BACKLOG, &rd->keep_control, why);
	if (r < 0)
		return r;
	rd->control_fd = r;
	stray = activation_stray(given);
	if (stray)
		return fail(-EINVAL, why,
			    "the service manager's socket %s is neither %s nor %s: "
			    "FileDescriptorName= has to say which it is",
			    stray, ONEBEAT_CLIENT_SOCKET, ONEBEAT_CONTROL_SOCKET);
	return 0;
}

/* -1: there is none of that name. */
static gid_t gid_of(const char *group)
{
	const struct group *entry = NULL;

	if (strspn(group, "0123456789") == strlen(group))
		return (gid_t)strtoul(group, NULL, 10);
	entry = getgrnam(group);
	return entry ? entry->gr_gid : (gid_t)-1;
}

int runtime_dir_give(const struct runtime_dir *rd, const char *group, char why[RUNTIME_DIR_WHY_MAX])
{
	gid_t gid = gid_of(group);

	if (rd->keep_control)
		return 0;
	if (gid == (gid_t)-1)
		return fail(-ENOENT, why, "there is no group '%s' to give %s to (control_group)",
			    group, ONEBEAT_CONTROL_SOCKET);
	if (fchownat(rd->dir_fd, ONEBEAT_CONTROL_SOCKET, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(-errno, why, "cannot give %s/%s to group '%s' (control_group): %s",
			    rd->path, ONEBEAT_CONTROL_SOCKET, group, strerror(errno));
	return 0;
}

static void unbind(const struct runtime_dir *rd, int *sock, const char *name, bool keep)
{
	if (*sock < 0)
		return;
	if (!keep)
		(void)unlinkat(rd->dir_fd, name, 0); /* somebody was faster: gone is gone */
	close_fdp(sock);
}

void runtime_dir_deinit(struct runtime_dir *rd)
{
	unbind(rd, &rd->clients_fd, ONEBEAT_CLIENT_SOCKET, rd->keep_clients);
	unbind(rd, &rd->control_fd, ONEBEAT_CONTROL_SOCKET, rd->keep_control);
	/* Or our pid would be told for the next holder's, until that one has written its own. */
	if (rd->lock_fd >= 0)
		(void)ftruncate(rd->lock_fd, 0);
	close_fdp(&rd->lock_fd);
	close_fdp(&rd->dir_fd);
}
