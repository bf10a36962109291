/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of registries
 *
 * http[s]://HOST[:PORT][/CONTEXT], and no more than that: a user name, a query or a fragment would be
 * dropped somewhere on the way to the wire, so they are refused here. What passes needs no further
 * escape: host and context go into request heads as they are.
 */
#include "control/config_url.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cidr.h"
#include "control/config_key.h"

#define SCHEME "http://"
#define SCHEME_TLS "https://"

static int refuse(char *why, const char *sentence)
{
	snprintf(why, CONFIG_ERROR_MAX, "%s", sentence);
	return CONFIG_KEY_REFUSED;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_';
}

/* Labels of 1 to 63 word characters with a dot between each two; one dot may stand at the end. */
static bool is_host_name(const char *host, size_t n)
{
	size_t label = 0;

	for (size_t i = 0; i < n; i++) {
		if (host[i] == '.' && label == 0)
			return false;
		if (host[i] != '.' && (!is_word(host[i]) || label == 63))
			return false;
		label = host[i] == '.' ? 0 : label + 1;
	}
	return n > 0 && (label > 0 || n > 1);
}

/* Does the last label look like a number? Then it is an IPv4 address or a mistake, never a name. */
static bool ends_in_number(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *last = dot ? dot + 1 : host;

	return *last && strspn(last, "0123456789") == strlen(last);
}

static int check_host(const char *host, char *why)
{
	struct cidr_address a;
	char inner[CIDR_TEXT_MAX];
	size_t n = strlen(host);

	if (n == 0)
		return refuse(why, "has no host");
	if (n > CONFIG_URL_HOST_MAX)
		return refuse(why, "has a host of more than 160 bytes");
	if (host[0] == '[') {
		if (host[n - 1] != ']' || n - 2 >= sizeof(inner))
			return refuse(why,
				      "is not a URL with a valid IPv6 address in its brackets");
		snprintf(inner, sizeof(inner), "%.*s", (int)(n - 2), host + 1);
		if (!cidr_address_parse(inner, &a) || a.family != AF_INET6)
			return refuse(why,
				      "is not a URL with a valid IPv6 address in its brackets");
		return 0;
	}
	if (ends_in_number(host))
		return cidr_address_parse(host, &a) && a.family == AF_INET
			       ? 0
			       : refuse(why, "is not a URL with a valid IPv4 address");
	return is_host_name(host, n) ? 0 : refuse(why, "is not a URL with a valid host name");
}

static int parse_port(const char *text, long *out, char *why)
{
	size_t n = strspn(text, "0123456789");

	*out = n > 0 && n <= 5 ? strtol(text, NULL, 10) : 0;
	if (text[n] != '\0' || *out < 1 || *out > 65535)
		return refuse(why, "has a port that is not in 1..65535");
	return 0;
}

/* The ':' before a port; in "[::1]:8848" it follows the bracket. */
static char *find_port(char *authority)
{
	char *bracket = authority[0] == '[' ? strchr(authority, ']') : NULL;

	return strchr(bracket ? bracket : authority, ':');
}

static int parse_authority(const char *scheme, char *authority, long port, struct config_url *out,
			   char *why)
{
	char *colon;
	int r = 0;

	if (strchr(authority, '@'))
		return refuse(why, "has a user name in it, which is not supported");
	colon = find_port(authority);
	if (colon) {
		*colon = '\0';
		r = parse_port(colon + 1, &port, why);
	}
	if (r == 0)
		r = check_host(authority, why);
	if (r == 0)
		snprintf(out->base, sizeof(out->base), "%s%s:%ld", scheme, authority, port);
	return r;
}

int config_url_parse_context(const char *text, char out[CONFIG_CONTEXT_MAX + 1],
			     char why[CONFIG_ERROR_MAX])
{
	size_t n = strlen(text);

	out[0] = '\0';
	if (n > 0 && text[n - 1] == '/')
		n--;
	if (n == 0)
		return 0;
	if (n > CONFIG_CONTEXT_MAX)
		return refuse(why, "has a path of more than 128 bytes");
	if (text[n - 1] == '/')
		return refuse(why, "is not a path like /nacos, or / for none");
	for (size_t i = 0; i < n; i++) {
		bool slash = text[i] == '/';

		if (i == 0 ? !slash : slash && text[i - 1] == '/')
			return refuse(why, "is not a path like /nacos, or / for none");
		if (!slash && !is_word(text[i]) && text[i] != '.' && text[i] != '~')
			return refuse(why,
				      "has a character in its path outside A-Z a-z 0-9 . _ ~ - /");
	}
	snprintf(out, CONFIG_CONTEXT_MAX + 1, "%.*s", (int)n, text);
	return 0;
}

/* NULL: neither of the two. */
static const char *scheme_of(const char *text)
{
	if (strncasecmp(text, SCHEME_TLS, strlen(SCHEME_TLS)) == 0)
		return SCHEME_TLS;
	return strncasecmp(text, SCHEME, strlen(SCHEME)) == 0 ? SCHEME : NULL;
}

int config_url_parse(const char *text, long default_port, struct config_url *out,
		     char why[CONFIG_ERROR_MAX])
{
	const char *scheme = scheme_of(text);
	char authority[CONFIG_URL_HOST_MAX + 8];
	const char *rest;
	size_t n;
	int r;

	if (!scheme)
		return refuse(why, strstr(text, "://") ? "is not an http:// or https:// URL"
						       : "is not an http:// or https:// URL: write "
							 "http[s]://HOST[:PORT][/CONTEXT]");
	rest = text + strlen(scheme);
	n = strcspn(rest, "/?#");
	if (strpbrk(rest, "?#"))
		return refuse(why,
			      "has a query or a fragment, which a registry's address cannot have");
	if (n >= sizeof(authority))
		return refuse(why, "has a host of more than 160 bytes");
	snprintf(authority, sizeof(authority), "%.*s", (int)n, rest);
	r = parse_authority(scheme, authority, default_port, out, why);
	return r == 0 ? config_url_parse_context(rest + n, out->context, why) : r;
}

bool config_url_is_tls(const char *base)
{
	return strncmp(base, SCHEME_TLS, strlen(SCHEME_TLS)) == 0;
}

bool config_url_is_name(const char *host)
{
	size_t n = strlen(host);

	return n <= CONFIG_URL_HOST_MAX && !ends_in_number(host) && is_host_name(host, n);
}

void config_url_split(const char *base, char host[CONFIG_URL_HOST_MAX + 1], char port[8])
{
	const char *from = base + strlen(config_url_is_tls(base) ? SCHEME_TLS : SCHEME);
	size_t n = strcspn(from, "/");
	size_t colon = n;
	bool brackets = from[0] == '[';

	while (colon > 0 && from[colon] != ':')
		colon--;
	assert(scheme_of(base) && colon > 0);
	snprintf(host, CONFIG_URL_HOST_MAX + 1, "%.*s", (int)colon - 2 * brackets, from + brackets);
	snprintf(port, 8, "%.*s", (int)(n - colon - 1), from + colon + 1);
}

bool config_url_is_loopback(const char *base)
{
	char host[CONFIG_URL_HOST_MAX + 1];
	struct cidr_address address;
	char port[8];

	config_url_split(base, host, port);
	if (strcasecmp(host, "localhost") == 0)
		return true;
	return cidr_address_parse(host, &address) && cidr_address_is_loopback(&address);
}
