/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of servers, as lists hold them
 *
 * Lists of servers come from outside, and what passes here goes into URLs and Host lines. So a host
 * is a name's or an IPv4 address's characters, or brackets round an IPv6 address's; nothing else that
 * could end a line or begin a path.
 */
#include "nacos/address.h"

#include <stdio.h>
#include <string.h>

#define HOST_MAX 253u
#define PORT_MAX 65535u

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_character(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_' || c == '.';
}

static bool is_v6_character(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
	       c == '.';
}

/* Length of the host that text begins with; 0 when there is none. */
static size_t host_length(const char *text, size_t n)
{
	size_t i = 0;

	if (n == 0)
		return 0;
	if (text[0] == '[') {
		for (i = 1; i < n && is_v6_character(text[i]); i++)
			;
		return i > 2 && i < n && text[i] == ']' ? i + 1 : 0;
	}
	while (i < n && is_name_character(text[i]))
		i++;
	return text[0] == '.' || text[0] == '-' ? 0 : i;
}

/* 0 when it is no port. */
static unsigned int read_port(const char *text, size_t n)
{
	unsigned int port = 0;

	if (n == 0 || n > 5)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(text[i]))
			return 0;
		port = port * 10 + (unsigned int)(text[i] - '0');
	}
	return port <= PORT_MAX ? port : 0;
}

bool address_read(const char *text, size_t n, char out[ADDRESS_SIZE])
{
	size_t n_host = host_length(text, n);
	unsigned int port = ADDRESS_PORT_DEFAULT;

	out[0] = '\0';
	if (n_host == 0 || n_host > HOST_MAX)
		return false;
	if (n > n_host)
		port = text[n_host] == ':' ? read_port(text + n_host + 1, n - n_host - 1) : 0;
	if (port == 0)
		return false;
	snprintf(out, ADDRESS_SIZE, "%.*s:%u", (int)n_host, text, port);
	return true;
}
