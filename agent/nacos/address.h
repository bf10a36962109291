/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_ADDRESS_H
#define NACOS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_PORT_DEFAULT 8848u
/* A name of 253 bytes or a bracketed IPv6 address, ':', a port, NUL. */
#define ADDRESS_SIZE 264u

/*
 * Reads a server's address as lists hold them, "host[:port]" with IPv6 in brackets, from any bytes; the default
 * port is filled in. False when it is none; out is "" then.
 */
bool address_read(const char *text, size_t n, char out[ADDRESS_SIZE]);

#endif
