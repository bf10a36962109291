/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds a lease
 *
 * The kernel's word alone counts: SO_PEERCRED for pid and uid, SO_COOKIE for the socket, a pidfd
 * for life and death. A pidfd is the process itself; a pid is only a number that the next process
 * may have. What /proc adds (start time, name, program file) is read through a descriptor of
 * /proc/PID and believed only when a pidfd says afterwards that the process was there all the time.
 *
 * SO_PEERPIDFD (Linux 6.5) gives a pidfd of the process that connected, whenever it is asked for,
 * so a lease costs one descriptor until it ends. What it answers when that process is dead and
 * reaped differs: 6.18 gives a pidfd that polls readable, earlier ones EINVAL or ESRCH, and all of
 * these mean dead. ENOPROTOOPT means that the kernel does not know the option and says nothing of
 * the process: there a pidfd is opened by number at accept and kept. Between connect and accept the
 * number could pass to another process; that window is what those kernels cost, and no longer than
 * the accept queue.
 *
 * A peer in a pid namespace that we do not see has pid 0: SO_PEERPIDFD still serves, /proc does
 * not. Two leases of one process are then known by their pidfds' inode (pidfs, Linux 6.9), which is
 * given once; where it is to be had it also decides between processes that share number and start
 * time, of which the kernel tells hundredths of a second.
 *
 * Where a kernel, or a sandbox's filter, has neither SO_PEERPIDFD nor pidfd_open (Linux 5.3), /proc
 * is all that is left: identity_pidfd_of() then tells death by it when it is asked again and again.
 *
 * The network namespace is that of the socket (SO_NETNS_COOKIE, Linux 5.14), because the accepted
 * end is made in the namespace of the one that connects. It needs no /proc either.
 */
#include "segment/identity.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "segment/proc.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define PIDFS_MAGIC 0x50494446
#define ANCESTORS_MAX 64

/* Set once, before any thread. */
static bool peer_pidfd_works;
static bool pidfd_open_works;
static bool births_work;
static uint64_t our_netns_cookie; /* 0: unknown */

/* CLOEXEC by itself. */
static int open_pidfd(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	return pidfd < 0 ? -errno : pidfd;
}

/* 0: the kernel does not tell. */
static uint64_t get_netns_cookie(int sock)
{
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);

	return getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &n) < 0 ? 0 : cookie;
}

static int get_peer_pidfd(int sock)
{
	int pidfd = -1;
	socklen_t n = sizeof(pidfd);

	return getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &n) < 0 ? -errno : pidfd;
}

/* Anything but a pidfd sends us the old way, which is right everywhere. */
bool identity_probe(bool force_pidfd_open)
{
	struct statfs fs;
	int pair[2];
	int pidfd;

	peer_pidfd_works = false;
	births_work = false;
	pidfd = open_pidfd(getpid());
	pidfd_open_works = pidfd >= 0;
	close_fdp(&pidfd);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	our_netns_cookie = get_netns_cookie(pair[0]);
	pidfd = force_pidfd_open ? -ENOPROTOOPT : get_peer_pidfd(pair[0]);
	close(pair[0]);
	close(pair[1]);
	if (pidfd < 0)
		return false;
	births_work = fstatfs(pidfd, &fs) == 0 && fs.f_type == PIDFS_MAGIC;
	close(pidfd);
	peer_pidfd_works = true;
	return true;
}

bool identity_has_pidfds(void)
{
	return peer_pidfd_works || pidfd_open_works;
}

int identity_peer_pidfd(int sock)
{
	int pidfd;

	if (!peer_pidfd_works)
		return -ENOPROTOOPT;
	pidfd = get_peer_pidfd(sock);
	return pidfd == -EINVAL ? -ESRCH : pidfd;
}

enum identity_life identity_life(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int n;

	if (pidfd < 0)
		return IDENTITY_UNKNOWN;
	do {
		n = poll(&p, 1, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 || (p.revents & POLLNVAL))
		return IDENTITY_UNKNOWN;
	return n > 0 ? IDENTITY_DEAD : IDENTITY_ALIVE;
}

/* A name that ends in a newline of its own loses no more than the one that the kernel adds. */
static void read_program(int dir, char program[16])
{
	char text[32];
	int n = proc_read(dir, "comm", text, sizeof(text));

	memset(program, 0, 16);
	if (n > 0 && text[n - 1] == '\n')
		n--;
	if (n > 0)
		memcpy(program, text, n < 15 ? (size_t)n : 15);
}

/* The program file: followed, so that it is right also when the file was replaced or removed. */
static bool read_exe(int dir, uint64_t *dev, uint64_t *ino)
{
	struct stat st;

	*dev = 0;
	*ino = 0;
	if (fstatat(dir, "exe", &st, 0) < 0)
		return false;
	*dev = st.st_dev;
	*ino = st.st_ino;
	return true;
}

/* Opens /proc of the process that id names, if it still is that one. */
static int open_same(const struct identity *id, struct proc_stat *stat)
{
	CLEANUP(close_fdp) int dir = id->pid > 0 ? proc_open(id->pid) : -ESRCH;
	int r;

	if (dir < 0)
		return dir;
	r = proc_read_stat(dir, stat);
	if (r < 0)
		return r;
	if (id->start_ticks != 0 && id->start_ticks != stat->start_ticks)
		return -ESRCH;
	return take_fd(&dir);
}

bool identity_refresh(struct identity *id)
{
	struct proc_stat stat;
	CLEANUP(close_fdp) int dir = open_same(id, &stat);

	if (dir < 0)
		return false;
	id->start_ticks = stat.start_ticks;
	read_program(dir, id->program);
	(void)read_exe(dir, &id->exe_dev, &id->exe_ino);
	return true;
}

enum identity_life identity_same_program(const struct identity *id)
{
	struct proc_stat stat;
	CLEANUP(close_fdp) int dir = open_same(id, &stat);
	uint64_t dev, ino;

	if (dir < 0 || (id->exe_dev == 0 && id->exe_ino == 0) || !read_exe(dir, &dev, &ino))
		return IDENTITY_UNKNOWN;
	return dev == id->exe_dev && ino == id->exe_ino ? IDENTITY_ALIVE : IDENTITY_DEAD;
}

bool identity_shown(const struct identity *id)
{
	struct proc_stat stat;
	CLEANUP(close_fdp) int dir = id->start_ticks != 0 ? open_same(id, &stat) : -ESRCH;

	return dir >= 0;
}

uint64_t identity_birth(int pidfd)
{
	struct stat st;

	return births_work && fstat(pidfd, &st) == 0 ? st.st_ino : 0;
}

bool identity_same(const struct identity *a, const struct identity *b)
{
	if (a->birth != 0 && b->birth != 0)
		return a->birth == b->birth;
	return a->pid == b->pid && a->start_ticks != 0 && a->start_ticks == b->start_ticks;
}

static enum identity_netns netns_of(int sock)
{
	uint64_t cookie = get_netns_cookie(sock);

	if (cookie == 0 || our_netns_cookie == 0)
		return IDENTITY_NETNS_UNKNOWN;
	return cookie == our_netns_cookie ? IDENTITY_NETNS_OURS : IDENTITY_NETNS_OTHER;
}

int identity_credentials(int sock, struct identity *out)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	*out = (struct identity){ .pid = 0 };
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return -errno;
	n = sizeof(out->cookie);
	if (getsockopt(sock, SOL_SOCKET, SO_COOKIE, &out->cookie, &n) < 0)
		return -errno;
	out->pid = peer.pid;
	out->uid = peer.uid;
	out->gid = peer.gid;
	out->netns = netns_of(sock);
	return 0;
}

uint32_t identity_groups(int sock, gid_t *out, uint32_t max)
{
	socklen_t n = max * (socklen_t)sizeof(*out);

	return getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, out, &n) < 0
		       ? 0
		       : n / (uint32_t)sizeof(*out);
}

/* What /proc tells of id's process, if the pidfd says that it is the one. */
static int describe(struct identity *id, int pidfd)
{
	const struct identity bare = *id;

	(void)identity_refresh(id);
	if (identity_life(pidfd) != IDENTITY_DEAD)
		return 0;
	*id = bare;
	return IDENTITY_GONE;
}

/*
 * A pidfd at accept, to hold against what /proc says. 0: none, and no harm: it can be had later, or
 * no process is ever to be got hold of here.
 */
static int pidfd_at_accept(int sock, const struct identity *id, int *out)
{
	int pidfd;

	*out = -1;
	if (!peer_pidfd_works && (id->pid == 0 || !pidfd_open_works))
		return 0;
	pidfd = peer_pidfd_works ? identity_peer_pidfd(sock) : open_pidfd(id->pid);
	if (pidfd == -EMFILE && peer_pidfd_works)
		return 0;
	if (pidfd < 0)
		return pidfd;
	*out = pidfd;
	return 0;
}

int identity_of_peer(int sock, struct identity *out, int *pidfd)
{
	CLEANUP(close_fdp) int watch = -1;
	int r;

	*pidfd = -1;
	r = identity_credentials(sock, out);
	if (r == 0)
		r = pidfd_at_accept(sock, out, &watch);
	if (r < 0)
		return r == -ESRCH ? IDENTITY_GONE : r;
	if (watch < 0 && identity_has_pidfds())
		return 0; /* what /proc says of the number may be another's */
	out->birth = identity_birth(watch);
	r = describe(out, watch);
	if (!peer_pidfd_works)
		*pidfd = take_fd(&watch);
	return r;
}

/* Without a pidfd: has its number nobody, or another, or is it dead and not yet waited for? */
static bool gone_from_proc(const struct identity *id)
{
	struct proc_stat stat;
	CLEANUP(close_fdp) int dir = open_same(id, &stat);

	if (dir == -ENOENT)
		return kill(id->pid, 0) < 0 && errno == ESRCH;
	return dir == -ESRCH || (dir >= 0 && stat.dead);
}

/*
 * The pidfd comes first: whoever has the number then and still has it when the start time is read
 * is the process that the pidfd stands for, because a process that started long ago cannot have
 * come in between.
 */
int identity_pidfd_of(pid_t pid, uint64_t start_ticks)
{
	const struct identity id = { .pid = pid, .start_ticks = start_ticks };
	CLEANUP(close_fdp) int pidfd = -1;
	CLEANUP(close_fdp) int dir = -1;
	struct proc_stat stat;

	if (pid <= 0 || start_ticks == 0)
		return -ESRCH;
	pidfd = open_pidfd(pid);
	if (pidfd < 0)
		return gone_from_proc(&id) ? -ESRCH : pidfd;
	dir = open_same(&id, &stat);
	if (dir >= 0)
		return take_fd(&pidfd);
	if (dir == -ESRCH || identity_life(pidfd) == IDENTITY_DEAD)
		return -ESRCH;
	return -EACCES; /* /proc mounted with hidepid */
}

/*
 * A parent is never younger than its child: a number that was used again breaks the chain. Both ends
 * must be the processes that they were.
 */
bool identity_descends(const struct identity *child, const struct identity *ancestor)
{
	uint64_t child_start = UINT64_MAX;
	pid_t pid = child->pid;

	if (child->start_ticks == 0 || ancestor->start_ticks == 0)
		return false;
	for (int i = 0; i <= ANCESTORS_MAX && pid > 0; i++) {
		CLEANUP(close_fdp) int dir = proc_open(pid);
		struct proc_stat stat;

		if (dir < 0 || proc_read_stat(dir, &stat) < 0 || stat.start_ticks > child_start ||
		    (i == 0 && stat.start_ticks != child->start_ticks))
			return false;
		if (i > 0 && pid == ancestor->pid)
			return stat.start_ticks == ancestor->start_ticks;
		child_start = stat.start_ticks;
		pid = stat.ppid;
	}
	return false;
}
