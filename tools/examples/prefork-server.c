/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefork-server: a small HTTP server with forked workers, registered through onebeat
 *
 *   prefork-server [SERVICE [PORT [WORKERS]]]       (hello, any free port, 8)
 *
 * The example to read first. It registers once, in the parent, before it forks: the workers inherit the tie to
 * the agent, so the instance lives as long as any of these processes does, and a worker's death changes nothing.
 * Nobody sends a heartbeat here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <onebeat/onebeat.h>

static int listen_on(unsigned short port, unsigned int *bound)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t size = sizeof(addr);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &size) < 0) {
		perror("prefork-server: listen");
		exit(1);
	}
	*bound = ntohs(addr.sin_port);
	return fd;
}

/* A worker answers every connection with its pid. */
static void work(int listener)
{
	char reply[128], request[1024];

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		int n;

		if (fd < 0)
			continue;
		n = snprintf(reply, sizeof(reply),
			     "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nworker %d\n",
			     (int)getpid());
		if (read(fd, request, sizeof(request)) > 0 && write(fd, reply, (size_t)n) < 0)
			perror("prefork-server: write");
		close(fd);
	}
}

static void start_worker(int listener)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* the parent's end is the server's end */
		work(listener);
	}
	if (pid < 0)
		perror("prefork-server: fork");
}

static int register_me(const char *service, unsigned int port)
{
	struct onebeat_spec spec = onebeat_spec_init();
	const struct onebeat_metadata metadata[] = { { "example", "prefork" } };
	struct onebeat_instance *inst;
	struct onebeat *ob;
	int r = onebeat_open(&ob, NULL);

	if (r < 0)
		return r;
	spec.service = service;
	spec.port = port;
	spec.ip =
		"127.0.0.1"; /* where this example listens; left out, the agent takes the host's address */
	spec.metadata = metadata;
	spec.n_metadata = 1;
	r = onebeat_register(ob, &spec, &inst);
	return r < 0 ? r : onebeat_wait(inst, ONEBEAT_STATE_UP, 5000);
}

int main(int argc, char **argv)
{
	const char *service = argc > 1 ? argv[1] : "hello";
	unsigned int port = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 0;
	unsigned int n_workers = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 10) : 8;
	int listener = listen_on((unsigned short)port, &port);
	int r = register_me(service, port);

	if (r < 0)
		fprintf(stderr, "prefork-server: %s\n",
			onebeat_strerror(r)); /* served all the same; the agent may come */
	for (unsigned int i = 0; i < n_workers; i++)
		start_worker(listener);
	printf("prefork-server: pid %d, port %u, %u workers, %s\n", (int)getpid(), port, n_workers,
	       r == 0 ? "registered" : "not registered");
	fflush(stdout);
	for (;;) {
		if (wait(NULL) > 0)
			start_worker(listener); /* a worker died: another one in its place */
		else if (errno == ECHILD)
			return 1;
	}
}
