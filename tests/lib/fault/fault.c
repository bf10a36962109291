/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that fail
 *
 * Stands between the code under test and libc, and lets the n-th call of a kind fail. Two ways to be linked: into
 * a unit test by the linker's --wrap (the sanitizers' malloc stays in place behind it), where the test arms it; and
 * as a library of its own for LD_PRELOAD (ONEBEAT_FAULT_PRELOAD), where the environment does:
 *
 *   ONEBEAT_FAULT          KIND:N, the N-th call of that kind fails
 *   ONEBEAT_FAULT_PROCESS  agent or keeper: only in that part of onebeatd
 *   ONEBEAT_FAULT_ONCE     a file that is made when it has failed: other processes are then left in peace
 *   ONEBEAT_FAULT_COUNTS   a file to which each process adds, at its end, a line of how often it called what
 */
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const names[FAULT_N] = {
#define FAULT_NAME(name, error) #name,
	FAULT_KINDS(FAULT_NAME)
#undef FAULT_NAME
};

static const int errors[FAULT_N] = {
#define FAULT_ERROR(name, error) error,
	FAULT_KINDS(FAULT_ERROR)
#undef FAULT_ERROR
};

static _Atomic unsigned int counts[FAULT_N];
static _Atomic unsigned int armed_n; /* 0: nothing fails */
static _Atomic int armed_kind;
static _Atomic bool fired;
static _Atomic long n_blocks;
static _Thread_local bool is_armed_thread;
static bool any_thread;  /* the environment's faults: whoever calls */
static const char *once; /* NULL: no such file */

const char *fault_name(enum fault_kind kind)
{
	return names[kind];
}

int fault_error(enum fault_kind kind)
{
	return errors[kind];
}

unsigned int fault_count(enum fault_kind kind)
{
	return counts[kind];
}

long fault_n_blocks(void)
{
	return n_blocks;
}

void fault_arm(enum fault_kind kind, unsigned int n)
{
	armed_n = 0;
	is_armed_thread = true;
	fired = false;
	counts[kind] = 0;
	armed_kind = kind;
	armed_n = n;
}

bool fault_disarm(void)
{
	armed_n = 0;
	return fired;
}

/* By bare system calls: libc's are in our own hands. False: somebody has failed before. */
static bool claim_once(void)
{
	int fd;

	if (!once)
		return true;
	fd = (int)syscall(SYS_openat, AT_FDCWD, once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC,
			  0600);
	if (fd >= 0)
		syscall(SYS_close, fd);
	return fd >= 0;
}

/* Is it this call that fails? Then errno says so. */
static bool fails(enum fault_kind kind)
{
	unsigned int n;

	if (!any_thread && !is_armed_thread)
		return false;
	n = atomic_fetch_add(&counts[kind], 1) + 1;
	if (armed_n == 0 || n != armed_n || armed_kind != (int)kind || fired || !claim_once())
		return false;
	fired = true;
	errno = errors[kind];
	return true;
}

#ifdef ONEBEAT_FAULT_PRELOAD

#define HERE(name) name
/* The next one of that name, looked up once. */
#define REAL(name)                                           \
	({                                                   \
		static __typeof__(&name) next;               \
		void *found = next ? NULL : look_up(#name);  \
		if (found)                                   \
			memcpy(&next, &found, sizeof(next)); \
		next;                                        \
	})

static void *look_up(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort(); /* libc has it: it is compiled in above */
	return found;
}

/* dlsym() allocates, so these cannot be looked up. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);
#define REAL_MALLOC __libc_malloc
#define REAL_CALLOC __libc_calloc
#define REAL_REALLOC __libc_realloc
#define REAL_FREE __libc_free

static bool is_process(const char *wanted)
{
	char text[4096];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof(text));
	bool is_agent = n > 0 && memmem(text, (size_t)n, "--agent-manifest", 16);

	syscall(SYS_close, fd);
	return strcmp(wanted, is_agent ? "agent" : "keeper") == 0;
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *text = getenv("ONEBEAT_FAULT");
	const char *process = getenv("ONEBEAT_FAULT_PROCESS");

	any_thread = true;
	once = getenv("ONEBEAT_FAULT_ONCE");
	if (!text || (process && !is_process(process)))
		return;
	for (int kind = 0; kind < FAULT_N; kind++) {
		size_t n = strlen(names[kind]);

		if (strncmp(text, names[kind], n) == 0 && text[n] == ':')
			fault_arm((enum fault_kind)kind,
				  (unsigned int)strtoul(text + n + 1, NULL, 10));
	}
}

__attribute__((destructor)) static void write_counts(void)
{
	const char *path = getenv("ONEBEAT_FAULT_COUNTS");
	char line[512];
	size_t n;
	int fd;

	if (!path)
		return;
	n = (size_t)snprintf(line, sizeof(line), "%s", is_process("agent") ? "agent" : "keeper");
	for (int kind = 0; kind < FAULT_N; kind++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %s=%u", names[kind],
				      counts[kind]);
	line[n++] = '\n';
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_APPEND | O_WRONLY, 0600);
	syscall(SYS_write, fd, line, n);
	syscall(SYS_close, fd);
}

#else

#define HERE(name) __wrap_##name
#define REAL(name) __real_##name
#define REAL_MALLOC __real_malloc
#define REAL_CALLOC __real_calloc
#define REAL_REALLOC __real_realloc
#define REAL_FREE __real_free

#endif

#ifdef ONEBEAT_FAULT_PRELOAD
#define INTERPOSE(type, name, parameters) type name parameters;
#else
#define INTERPOSE(type, name, parameters) \
	type __real_##name parameters;    \
	type __wrap_##name parameters;
#endif

/* type, name, parameters, arguments, kind, what a failure returns */
#define EACH_SIMPLE(X)                                                                             \
	X(void *, mmap, (void *a, size_t n, int prot, int flags, int fd, off_t at),                \
	  (a, n, prot, flags, fd, at), MMAP, MAP_FAILED)                                           \
	X(int, memfd_create, (const char *name, unsigned int flags), (name, flags), MEMFD, -1)     \
	X(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), FALLOCATE, -1) \
	X(int, ftruncate, (int fd, off_t size), (fd, size), FTRUNCATE, -1)                         \
	X(int, socket, (int family, int type, int protocol), (family, type, protocol), SOCKET, -1) \
	X(int, socketpair, (int family, int type, int protocol, int fds[2]),                       \
	  (family, type, protocol, fds), SOCKET, -1)                                               \
	X(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags),  \
	  ACCEPT, -1)                                                                              \
	X(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), SEND,    \
	  -1)                                                                                      \
	X(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), SEND, -1) \
	X(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), RECV, -1)      \
	X(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), RECV, -1)       \
	X(int, epoll_create1, (int flags), (flags), EPOLL, -1)                                     \
	X(int, epoll_ctl, (int fd, int op, int other, struct epoll_event *e), (fd, op, other, e),  \
	  EPOLL, -1)                                                                               \
	X(int, eventfd, (unsigned int n, int flags), (n, flags), EVENTFD, -1)                      \
	X(pid_t, fork, (void), (), FORK, -1)                                                       \
	X(int, getsockopt, (int fd, int level, int name, void *p, socklen_t *n),                   \
	  (fd, level, name, p, n), GETSOCKOPT, -1)                                                 \
	X(int, pipe2, (int fds[2], int flags), (fds, flags), PIPE, -1)                             \
	X(int, pthread_create,                                                                     \
	  (pthread_t * t, const pthread_attr_t *a, void *(*fn)(void *), void *ctx),                \
	  (t, a, fn, ctx), THREAD, EAGAIN)                                                         \
	X(FILE *, fopen, (const char *path, const char *mode), (path, mode), OPEN, NULL)

#define SIMPLE(type, name, parameters, arguments, kind, failure)               \
	INTERPOSE(type, name, parameters)                                      \
	type HERE(name) parameters                                             \
	{                                                                      \
		return fails(FAULT_##kind) ? (failure) : REAL(name) arguments; \
	}

EACH_SIMPLE(SIMPLE)

static void *count_block(void *p)
{
	if (p)
		n_blocks++;
	return p;
}

INTERPOSE(void *, malloc, (size_t size))
void *HERE(malloc)(size_t size)
{
	return fails(FAULT_ALLOC) ? NULL : count_block(REAL_MALLOC(size));
}

INTERPOSE(void *, calloc, (size_t n, size_t size))
void *HERE(calloc)(size_t n, size_t size)
{
	return fails(FAULT_ALLOC) ? NULL : count_block(REAL_CALLOC(n, size));
}

INTERPOSE(void *, realloc, (void *p, size_t size))
void *HERE(realloc)(void *p, size_t size)
{
	void *moved;

	if (fails(FAULT_ALLOC))
		return NULL;
	moved = REAL_REALLOC(p, size);
	if (!p && moved)
		n_blocks++;
	return moved;
}

INTERPOSE(void, free, (void *p))
void HERE(free)(void *p)
{
	if (p)
		n_blocks--;
	REAL_FREE(p);
}

INTERPOSE(void *, reallocarray, (void *p, size_t n, size_t size))
void *HERE(reallocarray)(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return HERE(realloc)(p, bytes);
}

INTERPOSE(void *, aligned_alloc, (size_t alignment, size_t size))
void *HERE(aligned_alloc)(size_t alignment, size_t size)
{
	return fails(FAULT_ALLOC) ? NULL : count_block(REAL(aligned_alloc)(alignment, size));
}

INTERPOSE(int, asprintf, (char **out, const char *format, ...))
__attribute__((format(printf, 2, 3))) int HERE(asprintf)(char **out, const char *format, ...)
{
	va_list ap;
	int n;

	if (fails(FAULT_ALLOC)) {
		*out = NULL;
		return -1;
	}
	va_start(ap, format);
	n = vasprintf(out, format, ap);
	va_end(ap);
	if (n >= 0)
		n_blocks++;
	return n;
}

INTERPOSE(char *, strdup, (const char *text))
char *HERE(strdup)(const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = HERE(malloc)(n);

	return copy ? memcpy(copy, text, n) : NULL;
}

INTERPOSE(char *, strndup, (const char *text, size_t max))
char *HERE(strndup)(const char *text, size_t max)
{
	size_t n = strnlen(text, max);
	char *copy = HERE(malloc)(n + 1);

	if (copy) {
		memcpy(copy, text, n);
		copy[n] = '\0';
	}
	return copy;
}

/* libc has no function for pidfd_open. */
INTERPOSE(long, syscall, (long number, ...))
long HERE(syscall)(long number, ...)
{
	va_list ap;
	long a[6];

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is started above */
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_pidfd_open && fails(FAULT_PIDFD))
		return -1;
	return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* A duplicate needs a new number; all else that fcntl() does has no reason to fail. */
INTERPOSE(int, fcntl, (int fd, int command, ...))
int HERE(fcntl)(int fd, int command, ...)
{
	va_list ap;
	long argument;

	va_start(ap, command);
	argument = va_arg(ap, long);
	va_end(ap);
	if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && fails(FAULT_DUP))
		return -1;
	return REAL(fcntl)(fd, command, argument);
}

/* Its callers open for reading, or make a file with a mode. */
static int mode_of(int flags, va_list *ap)
{
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the callers have started it */
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(*ap, int) : 0;
}

INTERPOSE(int, open, (const char *path, int flags, ...))
int HERE(open)(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = mode_of(flags, &ap);
	va_end(ap);
	return fails(FAULT_OPEN) ? -1 : REAL(open)(path, flags, mode);
}

INTERPOSE(int, openat, (int dir, const char *path, int flags, ...))
int HERE(openat)(int dir, const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = mode_of(flags, &ap);
	va_end(ap);
	return fails(FAULT_OPEN) ? -1 : REAL(openat)(dir, path, flags, mode);
}
