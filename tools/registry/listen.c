/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets
 *
 * An address outlives its socket: a node that was killed listens again where it did.
 */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

int listen_on(struct listen_address *a)
{
	struct sockaddr *address = (struct sockaddr *)&a->at;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    bind(fd, address, a->len) == 0 && listen(fd, SOMAXCONN) == 0 &&
	    getsockname(fd, address, &a->len) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* The port of either family: both keep it at the same place, but have it by their own name. */
static in_port_t *port_of(struct listen_address *a)
{
	return a->at.ss_family == AF_INET6 ? &((struct sockaddr_in6 *)&a->at)->sin6_port
					   : &((struct sockaddr_in *)&a->at)->sin_port;
}

void listen_set_port(struct listen_address *a, unsigned int port)
{
	*port_of(a) = htons((in_port_t)port);
}

unsigned int listen_port(const struct listen_address *a)
{
	struct listen_address copy = *a;

	return ntohs(*port_of(&copy));
}

void listen_format(const struct listen_address *a, char *text, size_t size)
{
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
	bool v6 = a->at.ss_family == AF_INET6;

	getnameinfo((const struct sockaddr *)&a->at, a->len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(text, size, v6 ? "[%s]:%s" : "%s:%s", host, port);
}
