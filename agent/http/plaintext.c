/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords in clear
 *
 * A login over http tells the password to whoever sees the packets, and so does every later request
 * with its token. Between processes of one host nobody does. A name counts as this host's only when
 * no resolver may say otherwise: localhost, and what ends in .localhost (RFC 6761). A key that
 * signs requests never travels and is not judged here.
 */
#include "http/plaintext.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cidr.h"

#define HOST_MAX 256

/* The host in a URL's authority, without brackets and port. */
static void host_of(const char *authority, char host[HOST_MAX])
{
	const char *from = authority;
	const char *at;
	size_t n = strcspn(from, "/?#");

	at = memchr(from, '@', n);
	if (at) {
		n -= (size_t)(at + 1 - from);
		from = at + 1;
	}
	if (*from == '[') {
		from++;
		n = strcspn(from, "]/");
	} else if (memchr(from, ':', n)) {
		n = strcspn(from, ":");
	}
	snprintf(host, HOST_MAX, "%.*s", (int)(n < HOST_MAX ? n : 0), from);
}

static bool is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t n = strlen(host);
	size_t n_name = sizeof(name) - 1;

	if (n > 0 && host[n - 1] == '.')
		n--;
	if (n < n_name || strncasecmp(host + n - n_name, name, n_name) != 0)
		return false;
	return n == n_name || host[n - n_name - 1] == '.';
}

bool plaintext_exposes(const char *url)
{
	const char *end = strstr(url, "://");
	struct cidr_address a;
	char host[HOST_MAX];

	if (strncasecmp(url, "https://", 8) == 0)
		return false;
	host_of(end ? end + 3 : url, host);
	if (cidr_address_parse(host, &a))
		return !cidr_address_is_loopback(&a);
	return !is_localhost(host);
}
