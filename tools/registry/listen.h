/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_LISTEN_H
#define REGISTRY_LISTEN_H

#include <stddef.h>
#include <sys/socket.h>

struct listen_address {
	struct sockaddr_storage at;
	socklen_t len;
};

/* Listens; a port that the kernel chose is written back. Returns a descriptor or a negative errno. */
int listen_on(struct listen_address *a);
/* Names another port of the same address. */
void listen_set_port(struct listen_address *a, unsigned int port);
unsigned int listen_port(const struct listen_address *a);
/* Writes the address as it stands in a URL. */
void listen_format(const struct listen_address *a, char *text, size_t size);

#endif
