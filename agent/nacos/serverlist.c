/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of servers that an endpoint gives
 *
 * One address a line. Blank lines, blanks round an address, lines that begin with '#' (which no
 * address does) and a byte order mark are dropped; an address may name its scheme, as Java's clients
 * let it.
 *
 * A list is taken whole or not at all: whoever asks keeps the old one then. With one line that is no
 * address the text may be a proxy's page, or cut, or somebody's half-saved file, and half of such a
 * list would send every beat of the host to the wrong servers. For the same reason an empty list is
 * refused.
 */
#include "nacos/serverlist.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "nacos/line.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **text, size_t *n)
{
	while (*n > 0 && is_blank(**text)) {
		(*text)++;
		(*n)--;
	}
	while (*n > 0 && is_blank((*text)[*n - 1]))
		(*n)--;
}

/* Takes the prefix off when it is there. */
static bool skip(const char **text, size_t *n, const char *prefix)
{
	size_t length = strlen(prefix);

	if (*n < length || strncasecmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	*n -= length;
	return true;
}

static bool holds(const struct serverlist *list, const char *url)
{
	for (uint32_t i = 0; i < list->n; i++) {
		if (strcasecmp(list->urls[i], url) == 0)
			return true;
	}
	return false;
}

static bool refuse(struct serverlist *out, char *why, unsigned int number, const char *line,
		   size_t n_line, const char *rule)
{
	char shown[64];

	out->n = 0;
	line_first(line, n_line, shown, sizeof(shown));
	snprintf(why, SERVERLIST_WHY_SIZE, "line %u: \"%s\": %s", number, shown, rule);
	return false;
}

static bool take_line(struct serverlist *out, bool tls, unsigned int number, const char *line,
		      size_t n_line, char *why)
{
	const char *text = line;
	size_t n = n_line;
	char url[SERVERLIST_URL_SIZE];
	char address[ADDRESS_SIZE];

	trim(&text, &n);
	if (n == 0 || text[0] == '#')
		return true;
	if (skip(&text, &n, "https://"))
		tls = true;
	else if (skip(&text, &n, "http://"))
		tls = false;
	if (!address_read(text, n, address))
		return refuse(out, why, number, line, n_line, "not host[:port], one a line");
	snprintf(url, sizeof(url), "%s://%s", tls ? "https" : "http", address);
	if (holds(out, url))
		return true;
	if (out->n == SERVERLIST_MAX)
		return refuse(out, why, number, line, n_line, "more than 64 servers");
	memcpy(out->urls[out->n++], url, sizeof(url));
	return true;
}

static bool take_lines(struct serverlist *out, bool tls, const char *text, size_t n, char *why)
{
	unsigned int number = 0;

	skip(&text, &n, BYTE_ORDER_MARK);
	while (n > 0) {
		const char *end = memchr(text, '\n', n);
		size_t n_line = end ? (size_t)(end - text) : n;

		if (!take_line(out, tls, ++number, text, n_line, why))
			return false;
		n -= end ? n_line + 1 : n_line;
		text += end ? n_line + 1 : n_line;
	}
	return true;
}

bool serverlist_read(int status, const char *body, size_t n_body, bool tls, struct serverlist *out,
		     char why[SERVERLIST_WHY_SIZE])
{
	out->n = 0;
	why[0] = '\0';
	if (status != 200) {
		snprintf(why, SERVERLIST_WHY_SIZE, "HTTP %d, 200 expected", status);
		return false;
	}
	if (!take_lines(out, tls, n_body > 0 ? body : "", n_body, why))
		return false;
	if (out->n == 0)
		snprintf(why, SERVERLIST_WHY_SIZE, "an empty list, one server a line expected");
	return out->n > 0;
}

bool serverlist_equal(const struct serverlist *a, const struct serverlist *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		if (!holds(b, a->urls[i]))
			return false;
	}
	return true;
}
