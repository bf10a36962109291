/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_IDENTITY_H
#define SEGMENT_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Values are in the journal. */
enum identity_netns {
	IDENTITY_NETNS_UNKNOWN = 0,
	IDENTITY_NETNS_OURS = 1,
	IDENTITY_NETNS_OTHER = 2
};

/* Who is at the other end of a lease: from the kernel alone. */
struct identity {
	pid_t pid; /* in our pid namespace; 0: not visible from here */
	uid_t uid;
	gid_t gid;
	uint64_t cookie;      /* SO_COOKIE of our end */
	uint64_t start_ticks; /* 0: unknown */
	uint64_t birth;       /* inode of its pidfd, which no other process ever has; 0: unknown */
	uint64_t exe_dev;     /* 0, 0: unreadable */
	uint64_t exe_ino;
	char program[16]; /* comm; "" when unreadable */
	uint32_t netns;   /* enum identity_netns, at connect */
};

enum identity_life {
	IDENTITY_ALIVE,
	IDENTITY_DEAD,
	IDENTITY_UNKNOWN
};

/*
 * Once at start: may SO_PEERPIDFD be used? force_pidfd_open: behave as if not. Returns what was
 * found.
 */
bool identity_probe(bool force_pidfd_open);

/* pid, uid, gid, cookie and network namespace alone, of the peer; all else empty. 0 or a negative errno. */
int identity_credentials(int sock, struct identity *out);
/* May any pidfd be had? If not, death is told by /proc, and late. */
bool identity_has_pidfds(void);

/* The peer's supplementary groups when it connected; none when there are more than max, or the kernel does not say. */
uint32_t identity_groups(int sock, gid_t *out, uint32_t max);

#define IDENTITY_GONE 1

/*
 * At accept. *pidfd is -1, or, where SO_PEERPIDFD is missing, a pidfd taken now, because later the
 * pid could be another's. 0; IDENTITY_GONE: all is filled in but what /proc tells, because the
 * process has died already (children that inherited the lease may live); or a negative errno.
 */
int identity_of_peer(int sock, struct identity *out, int *pidfd);
/*
 * A pidfd of the lease's peer, also after its death where the kernel can. The pidfd, or -errno:
 * -ESRCH is dead and reaped; -ENOPROTOOPT means that only the one taken at accept can serve.
 */
int identity_peer_pidfd(int sock);
/*
 * A pidfd of pid if it is still the process that started at start_ticks; -ESRCH when it is not, or
 * when the start time was never known; -EACCES: it lives, but /proc does not show whether it is the
 * one. Where there is no pidfd_open, or no descriptor left, another errno, but -ESRCH all the same
 * when /proc shows that it is dead.
 */
int identity_pidfd_of(pid_t pid, uint64_t start_ticks);
/* Is the pidfd readable, that is, the process dead (a zombie is dead)? */
enum identity_life identity_life(int pidfd);
/*
 * Reads comm, exe and start time again; false when /proc does not tell, or tells of another
 * process.
 */
bool identity_refresh(struct identity *id);
/*
 * IDENTITY_ALIVE: runs the same program file as id says; IDENTITY_DEAD: another one; UNKNOWN:
 * unreadable.
 */
enum identity_life identity_same_program(const struct identity *id);
/* Does /proc show that very process under its number? False also when nobody knows. */
bool identity_shown(const struct identity *id);
/* What makes a pidfd's process one of its own; 0 before Linux 6.9. */
uint64_t identity_birth(int pidfd);
/* Are both the same process, not only the same number? False when nobody knows. */
bool identity_same(const struct identity *a, const struct identity *b);
/* Is ancestor, still alive as the process it was, among child's ancestors (at most 64 steps)? */
bool identity_descends(const struct identity *child, const struct identity *ancestor);

#endif
