/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program on an older kernel, as far as it can tell: what is named fails as it would there
 *
 *   deny [peerpidfd] [pidfd_open] [netns_cookie] -- PROGRAM [ARG]...
 *
 * A filter (seccomp) that every child inherits. SO_PEERPIDFD and SO_NETNS_COOKIE give ENOPROTOOPT, pidfd_open()
 * gives ENOSYS.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PEERPIDFD 77
#define NETNS_COOKIE 71
#define FILTER_MAX 32

/* The word of an argument that a small number is in. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARG(n) (offsetof(struct seccomp_data, args) + (n)*8)
#else
#define ARG(n) (offsetof(struct seccomp_data, args) + (n)*8 + 4)
#endif

static struct sock_filter filter[FILTER_MAX];
static unsigned short n_filter;

static void add(struct sock_filter f)
{
	if (n_filter == FILTER_MAX)
		abort();
	filter[n_filter++] = f;
}

/* Goes on with the next instruction when the word equals value, else leaves out n_skipped. */
static void when(size_t word, int value, unsigned char n_skipped)
{
	add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)word));
	add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)value, 0,
					 n_skipped));
}

static void fail_with(int error)
{
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)error));
}

static void deny_option(int option)
{
	when(offsetof(struct seccomp_data, nr), SYS_getsockopt, 5);
	when(ARG(1), SOL_SOCKET, 3);
	when(ARG(2), option, 1);
	fail_with(ENOPROTOOPT);
}

static void deny_call(int call)
{
	when(offsetof(struct seccomp_data, nr), call, 1);
	fail_with(ENOSYS);
}

static int deny(const char *what)
{
	if (strcmp(what, "peerpidfd") == 0)
		deny_option(PEERPIDFD);
	else if (strcmp(what, "netns_cookie") == 0)
		deny_option(NETNS_COOKIE);
	else if (strcmp(what, "pidfd_open") == 0)
		deny_call(SYS_pidfd_open);
	else
		return -1;
	return 0;
}

static int install(void)
{
	struct sock_fprog program = { .filter = filter };

	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	program.len = n_filter;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	int i = 1;

	while (i < argc && strcmp(argv[i], "--") != 0) {
		if (deny(argv[i++]) < 0) {
			fprintf(stderr, "deny: what is %s?\n", argv[i - 1]);
			return 2;
		}
	}
	if (i + 1 >= argc || install() < 0) {
		fprintf(stderr, "deny: %s\n", i + 1 >= argc ? "no program" : strerror(errno));
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	fprintf(stderr, "deny: %s: %s\n", argv[i + 1], strerror(errno));
	return 127;
}
