/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CIDR_H
#define BASE_CIDR_H

#include <stdbool.h>
#include <stdint.h>

#include <netinet/in.h>
#include <sys/socket.h>

/* A numeric address of either family, in network order. */
struct cidr_address {
	int family; /* AF_INET or AF_INET6 */
	union {
		struct in_addr v4;
		struct in6_addr v6;
		uint8_t bytes[16];
	};
};

struct cidr {
	struct cidr_address network;
	uint32_t prefix; /* bits */
};

#define CIDR_TEXT_MAX 46 /* an address with its NUL */

/* Both forms without brackets and scope. */
bool cidr_address_parse(const char *text, struct cidr_address *out);
/* False for other families; an IPv4 address mapped into IPv6 becomes IPv4. */
bool cidr_address_of(const struct sockaddr *sa, struct cidr_address *out);
void cidr_address_print(const struct cidr_address *a, char out[CIDR_TEXT_MAX]);
bool cidr_address_equal(const struct cidr_address *a, const struct cidr_address *b);
bool cidr_address_is_loopback(const struct cidr_address *a);
/*
 * 0.0.0.0, ::, IPv6 link-local (worth nothing without its scope) and multicast name no host to
 * others.
 */
bool cidr_address_names_host(const struct cidr_address *a);

/*
 * "10.0.0.0/8": 0; CIDR_NO_NETWORK when it is none; CIDR_HOST_BITS when bits are set behind the
 * prefix.
 */
int cidr_parse(const char *text, struct cidr *out);
enum {
	CIDR_NO_NETWORK = 1,
	CIDR_HOST_BITS = 2
};

bool cidr_contains(const struct cidr *c, const struct cidr_address *a);

#endif
