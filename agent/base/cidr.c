/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and networks as values
 *
 * Texts of one address differ ("::1", "0:0::1"), so whatever is compared is compared as bytes.
 */
#include "base/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t n_bytes(int family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

bool cidr_address_parse(const char *text, struct cidr_address *out)
{
	*out = (struct cidr_address){ .family = strchr(text, ':') ? AF_INET6 : AF_INET };
	return inet_pton(out->family, text, out->bytes) == 1;
}

bool cidr_address_of(const struct sockaddr *sa, struct cidr_address *out)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	*out = (struct cidr_address){ .family = sa->sa_family };
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		out->v4 = in.sin_addr;
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&in6, sa, sizeof(in6));
	out->v6 = in6.sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(&out->v6)) {
		memmove(out->bytes, out->bytes + 12, 4);
		out->family = AF_INET;
	}
	return true;
}

void cidr_address_print(const struct cidr_address *a, char out[CIDR_TEXT_MAX])
{
	if (!inet_ntop(a->family, a->bytes, out, CIDR_TEXT_MAX))
		out[0] = '\0';
}

bool cidr_address_equal(const struct cidr_address *a, const struct cidr_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, n_bytes(a->family)) == 0;
}

bool cidr_address_is_loopback(const struct cidr_address *a)
{
	return a->family == AF_INET ? a->bytes[0] == 127 : IN6_IS_ADDR_LOOPBACK(&a->v6);
}

bool cidr_address_names_host(const struct cidr_address *a)
{
	if (a->family == AF_INET)
		return a->v4.s_addr != htonl(INADDR_ANY) && a->bytes[0] < 224;
	return !IN6_IS_ADDR_UNSPECIFIED(&a->v6) && !IN6_IS_ADDR_LINKLOCAL(&a->v6) &&
	       !IN6_IS_ADDR_MULTICAST(&a->v6);
}

/* Are a and b alike in their first n bits? */
static bool bits_alike(const uint8_t *a, const uint8_t *b, uint32_t n)
{
	uint32_t whole = n / 8;
	uint8_t mask = (uint8_t)(0xff00u >> (n % 8));

	return memcmp(a, b, whole) == 0 && (n % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

bool cidr_contains(const struct cidr *c, const struct cidr_address *a)
{
	return c->network.family == a->family && bits_alike(c->network.bytes, a->bytes, c->prefix);
}

static bool has_host_bits(const struct cidr *c)
{
	for (uint32_t bit = c->prefix; bit < n_bytes(c->network.family) * 8; bit++) {
		if (c->network.bytes[bit / 8] & (0x80u >> (bit % 8)))
			return true;
	}
	return false;
}

static bool parse_prefix(const char *text, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long n;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 3)
		return false;
	n = strtoul(text, &end, 10);
	*out = (uint32_t)n;
	return *end == '\0' && n <= max;
}

int cidr_parse(const char *text, struct cidr *out)
{
	const char *slash = strchr(text, '/');
	char address[CIDR_TEXT_MAX];

	if (!slash || slash - text >= CIDR_TEXT_MAX)
		return CIDR_NO_NETWORK;
	snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
	if (!cidr_address_parse(address, &out->network) ||
	    !parse_prefix(slash + 1, (uint32_t)n_bytes(out->network.family) * 8, &out->prefix))
		return CIDR_NO_NETWORK;
	return has_host_bits(out) ? CIDR_HOST_BITS : 0;
}
