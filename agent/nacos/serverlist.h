/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_SERVERLIST_H
#define NACOS_SERVERLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nacos/address.h"

/* As many as a registry may have nodes. */
#define SERVERLIST_MAX 64u
/* "https://" before an address. */
#define SERVERLIST_URL_SIZE (ADDRESS_SIZE + 8u)
#define SERVERLIST_WHY_SIZE 160u

struct serverlist {
	uint32_t n;
	char urls[SERVERLIST_MAX]
		 [SERVERLIST_URL_SIZE]; /* "http://host:port" each, none twice, in the order of the text */
};

/*
 * Reads what an endpoint answered (nacos-http 3.3). All or nothing: true, and *out is the list, of one server at
 * least; false, *out is empty, and why is one printable line with the line, the value and the rule. An address
 * without a scheme gets https when tls. body may hold any bytes.
 */
bool serverlist_read(int status, const char *body, size_t n_body, bool tls, struct serverlist *out,
		     char why[SERVERLIST_WHY_SIZE]);
/* The same servers, in whatever order. */
bool serverlist_equal(const struct serverlist *a, const struct serverlist *b);

#endif
