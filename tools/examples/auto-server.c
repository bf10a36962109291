/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auto-server: a server that registers itself the moment its socket listens
 *
 *   auto-server [SERVICE [PORT]]       (hello, any free port)
 *
 * It answers every connection with a line. One call when the socket listens, one now and then in its loop: that
 * is all that auto-registration asks of a program. ONEBEAT_ENABLED=false turns it off, ONEBEAT_MANAGEMENT_PORT
 * registers a second port beside it.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <onebeat/onebeat.h>

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static void on_registered(void *ctx, struct onebeat_auto *a)
{
	(void)a;
	printf("auto-server: '%s' is registered\n", (const char *)ctx);
	fflush(stdout);
}

static int listen_on(unsigned short port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0) {
		perror("auto-server: listen");
		exit(1);
	}
	return fd;
}

static void serve(int listener)
{
	static const char reply[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello\n";
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return;
	if (write(fd, reply, sizeof(reply) - 1) < 0)
		perror("auto-server: write");
	close(fd);
}

static struct onebeat_auto *describe(char *service)
{
	struct onebeat_auto_options options = onebeat_auto_options_init();
	struct onebeat_spec spec = onebeat_spec_init();
	struct onebeat_auto *a;
	int r;

	spec.service = service;
	spec.ip =
		"127.0.0.1"; /* where this example listens; left out, the agent takes the host's address */
	options.spec = &spec;
	options.registered = on_registered;
	options.ctx = service;
	r = onebeat_auto_new(&a, &options);
	if (r < 0) {
		fprintf(stderr, "auto-server: %s\n", onebeat_strerror(r));
		exit(2);
	}
	return a;
}

int main(int argc, char **argv)
{
	static char hello[] = "hello";
	struct sigaction stop = { .sa_handler = on_signal };
	struct onebeat_auto *a = describe(argc > 1 ? argv[1] : hello);
	struct pollfd listener = { .events = POLLIN };
	int r;

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	listener.fd = listen_on((unsigned short)(argc > 2 ? strtoul(argv[2], NULL, 10) : 0));
	r = onebeat_auto_bind(a, listener.fd);
	if (r < 0)
		fprintf(stderr, "auto-server: %s\n", onebeat_strerror(r)); /* served all the same */
	while (!ended) {
		if (poll(&listener, 1, 200) > 0)
			serve(listener.fd);
		(void)onebeat_auto_attend(a); /* without an agent: again at the next turn */
	}
	onebeat_auto_close(a); /* deregisters */
	return 0;
}
