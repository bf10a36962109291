/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_FAULT_FAULT_H
#define LIB_FAULT_FAULT_H

#include <stdbool.h>

/* What can be made to fail: a group of calls each, and the error that it fails with. */
#define FAULT_KINDS(X)         \
	X(ALLOC, ENOMEM)       \
	X(OPEN, EMFILE)        \
	X(MMAP, ENOMEM)        \
	X(MEMFD, EMFILE)       \
	X(FALLOCATE, ENOSPC)   \
	X(FTRUNCATE, ENOSPC)   \
	X(SOCKET, EMFILE)      \
	X(ACCEPT, EMFILE)      \
	X(SEND, ENOBUFS)       \
	X(RECV, ENOMEM)        \
	X(EPOLL, ENOSPC)       \
	X(EVENTFD, EMFILE)     \
	X(FORK, EAGAIN)        \
	X(PIDFD, EMFILE)       \
	X(GETSOCKOPT, ENOBUFS) \
	X(PIPE, EMFILE)        \
	X(DUP, EMFILE)         \
	X(THREAD, EAGAIN)

enum fault_kind {
#define FAULT_NAME(name, error) FAULT_##name,
	FAULT_KINDS(FAULT_NAME)
#undef FAULT_NAME
	FAULT_N
};

/* The n-th such call of this thread from now on (1: the next) fails. Starts counting anew. */
void fault_arm(enum fault_kind kind, unsigned int n);
/* Nothing fails any more. Whether one did since fault_arm(). */
bool fault_disarm(void);
/* Calls of that kind since the start, or since it was armed last. */
unsigned int fault_count(enum fault_kind kind);
int fault_error(enum fault_kind kind);
const char *fault_name(enum fault_kind kind);
/* Blocks of memory that are allocated now: malloc and its kin less free. */
long fault_n_blocks(void);

#endif
