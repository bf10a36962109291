/* SPDX-License-Identifier: Apache-2.0 */
/* Which ports listen: here, on any address, among many others, and in another network namespace. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment/listen.h"

static struct listen_views *views;

static void make_views(void)
{
	cr_assert_eq(listen_views_new(&views), 0);
}

TestSuite(listen, .init = make_views, .timeout = 60);

/* Binds to a free port of 127.0.0.1 (AF_INET), ::1 (AF_INET6), or of any address. */
static int bind_to(int family, bool any, uint16_t *port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&four
						: (struct sockaddr *)&six;
	socklen_t n = family == AF_INET ? sizeof(four) : sizeof(six);
	int sock = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!any) {
		four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		six.sin6_addr = in6addr_loopback;
	}
	if (sock < 0 || bind(sock, at, n) < 0 || getsockname(sock, at, &n) < 0)
		return -1;
	*port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
	return sock;
}

static int listen_to(int family, bool any, uint16_t *port)
{
	int sock = bind_to(family, any, port);

	return sock >= 0 && listen(sock, 8) == 0 ? sock : -1;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(connect(sock, (const struct sockaddr *)&to, sizeof(to)), 0);
	return sock;
}

static int now_on(struct listen_view *view, uint16_t port)
{
	listen_round(views);
	return listen_on(view, port);
}

Test(listen, sees_every_kind_of_address)
{
	struct listen_view *view = listen_view_get(views, getpid());
	uint16_t port;
	int sock;

	cr_assert(view);
	cr_assert(listen_view_is_ours(view));
	for (int any = 0; any < 2; any++) {
		sock = listen_to(AF_INET, any, &port);
		cr_assert(sock >= 0);
		cr_assert_eq(now_on(view, port), 1);
		close(sock);
		cr_assert_eq(now_on(view, port), 0);
		sock = listen_to(AF_INET6, any, &port);
		if (sock < 0) /* no IPv6 on this machine */
			continue;
		cr_assert_eq(now_on(view, port), 1);
		close(sock);
		cr_assert_eq(now_on(view, port), 0);
	}
	listen_view_put(views, view);
	cr_assert_eq(listen_views_free(views), NULL);
}

/* Bound is not listening; and a connection that outlives its listener is none. */
Test(listen, is_not_fooled_by_other_states)
{
	struct listen_view *view = listen_view_get(views, getpid());
	uint16_t port;
	int sock = bind_to(AF_INET, false, &port);
	int client, server;

	cr_assert(view && sock >= 0);
	cr_assert_eq(now_on(view, port), 0);
	cr_assert_eq(listen(sock, 8), 0);
	cr_assert_eq(now_on(view, port), 1);
	client = connect_to(port);
	server = accept(sock, NULL, NULL);
	close(sock);
	cr_assert(client >= 0 && server >= 0);
	cr_assert_eq(now_on(view, port), 0);
}

/* One reading a round: a watcher asks for many ports at once. */
Test(listen, reads_once_a_round)
{
	struct listen_view *view = listen_view_get(views, getpid());
	uint16_t port, other;
	int sock = listen_to(AF_INET, false, &port);

	cr_assert(view && sock >= 0);
	cr_assert_eq(now_on(view, port), 1);
	close(sock);
	cr_assert(listen_to(AF_INET, false, &other) >= 0);
	cr_assert_eq(listen_on(view, port), 1, "read again in the same round");
	listen_round(views);
	cr_assert_eq(listen_on(view, port), 0);
	cr_assert_eq(listen_on(view, other), 1);
}

/*
 * Many listeners (several pieces of the table, listeners of both kinds) and more connections, in
 * changing order: the kernel must go on printing listeners first, which is what reading relies on.
 */
Test(listen, finds_each_of_many_among_connections)
{
	enum {
		N = 150
	};
	struct listen_view *view = listen_view_get(views, getpid());
	uint16_t ports[N];
	int socks[N];

	cr_assert(view);
	for (int i = 0; i < N; i++) {
		socks[i] = listen_to(AF_INET, i % 2, &ports[i]);
		cr_assert(socks[i] >= 0);
		for (int n = 0; n < 3; n++) {
			int client = connect_to(ports[i]);
			int server = accept(socks[i], NULL, NULL);

			cr_assert(server >= 0);
			if (n == 0)
				close(server); /* FIN_WAIT and CLOSE_WAIT rows too */
			if (n == 1)
				close(client);
		}
	}
	for (int i = 0; i < N; i += 3) {
		close(socks[i]);
		socks[i] = -1;
	}
	listen_round(views);
	for (int i = 0; i < N; i++)
		cr_assert_eq(listen_on(view, ports[i]), socks[i] >= 0, "port %u", ports[i]);
}

Test(listen, shares_a_view_of_one_namespace)
{
	struct listen_view *a = listen_view_get(views, getpid());
	struct listen_view *b = listen_view_get(views, getppid());

	cr_assert(a);
	cr_assert_eq(a, b);
	listen_view_put(views, a);
	cr_assert(listen_on(b, 1) >= 0, "the other reference");
	listen_view_put(views, b);
	cr_assert_eq(listen_view_put(views, NULL), NULL);
	cr_assert_eq(listen_views_free(views), NULL);
	cr_assert_eq(listen_views_free(NULL), NULL);
}

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

Test(listen, says_why_there_is_no_view)
{
	int n = count_descriptors();
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	cr_assert_eq(listen_view_get(views, pid), NULL, "a zombie has no namespace");
	cr_assert_eq(errno, ENOENT);
	waitpid(pid, NULL, 0);
	cr_assert_eq(listen_view_get(views, pid), NULL);
	cr_assert_eq(errno, ENOENT);
	cr_assert_eq(listen_view_get(views, 0), NULL);
	cr_assert_eq(errno, ESRCH);
	cr_assert_eq(count_descriptors(), n, "descriptors leaked");
}

/*
 * In the child, in a namespace of its own: listens, tells the port (0: it could not), waits to be
 * killed.
 */
static void be_neighbour(int report)
{
	uint16_t port = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0 || listen_to(AF_INET, true, &port) < 0)
		port = 0;
	if (write(report, &port, sizeof(port)) == (ssize_t)sizeof(port))
		pause();
	_exit(0);
}

static pid_t start_neighbour(uint16_t *port)
{
	int report[2];
	pid_t pid;

	cr_assert_eq(pipe(report), 0);
	pid = fork();
	if (pid == 0)
		be_neighbour(report[1]);
	cr_assert_eq(read(report[0], port, sizeof(*port)), (ssize_t)sizeof(*port));
	close(report[0]);
	close(report[1]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(listen, looks_into_the_clients_namespace)
{
	struct listen_view *ours = listen_view_get(views, getpid());
	struct listen_view *view;
	uint16_t port;
	pid_t pid = start_neighbour(&port);

	cr_assert(ours);
	/* The kernel chose among the ports of another namespace: in ours somebody may have it. */
	while (port != 0 && now_on(ours, port) != 0) {
		stop(pid);
		pid = start_neighbour(&port);
	}
	if (port == 0) {
		stop(pid);
		cr_skip_test("unshare(CLONE_NEWNET) is not allowed here");
	}
	view = listen_view_get(views, pid);
	cr_assert(view, "%s", strerror(errno));
	cr_assert(view != ours && !listen_view_is_ours(view));
	cr_assert_eq(now_on(view, port), 1);
	cr_assert_eq(listen_on(ours, port), 0, "in the wrong namespace");
	stop(pid);
	cr_assert_eq(now_on(view, port), 0, "readable after the process's death, and empty");
	listen_view_put(views, view);
	listen_view_put(views, ours);
	listen_views_free(views);
}
