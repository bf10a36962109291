/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <arpa/inet.h>

#include "base/cidr.h"

static bool contains(const char *network, const char *ip)
{
	struct cidr_address a;
	struct cidr c;

	cr_assert_eq(cidr_parse(network, &c), 0, "%s", network);
	cr_assert(cidr_address_parse(ip, &a), "%s", ip);
	return cidr_contains(&c, &a);
}

/* Prefixes that end inside a byte, at its edge, nowhere and everywhere. */
Test(cidr, contains_by_bits)
{
	cr_expect(contains("10.0.0.0/8", "10.255.0.1"));
	cr_expect_not(contains("10.0.0.0/8", "11.0.0.1"));
	cr_expect(contains("172.16.0.0/12", "172.31.255.255"));
	cr_expect_not(contains("172.16.0.0/12", "172.32.0.0"));
	cr_expect(contains("192.168.1.7/32", "192.168.1.7"));
	cr_expect_not(contains("192.168.1.7/32", "192.168.1.6"));
	cr_expect(contains("0.0.0.0/0", "255.1.2.3"));
	cr_expect_not(contains("0.0.0.0/0", "::1"));
	cr_expect(contains("fc00::/7", "fd12::1"));
	cr_expect_not(contains("fd00::/8", "fc12::1"));
	cr_expect(contains("::/0", "2001:db8::1"));
	cr_expect_not(contains("::/0", "10.0.0.1"));
	cr_expect(contains("2001:db8::1/128", "2001:db8:0::1"));
}

/* An address tells a host to others, or it does not. */
Test(cidr, addresses_that_name_no_host)
{
	static const struct {
		const char *text;
		bool names_host;
	} addresses[] = {
		{ "10.0.0.1", true },    { "127.0.0.1", true },  { "169.254.1.1", true },
		{ "0.0.0.0", false },    { "224.0.0.1", false }, { "255.255.255.255", false },
		{ "2001:db8::1", true }, { "::1", true },        { "::", false },
		{ "fe80::1", false },    { "ff02::1", false },
	};

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct cidr_address a;

		cr_assert(cidr_address_parse(addresses[i].text, &a), "%s", addresses[i].text);
		cr_expect_eq(cidr_address_names_host(&a), addresses[i].names_host, "%s",
			     addresses[i].text);
	}
}

/* A socket of IPv6 shows an IPv4 peer mapped; the registry would not know such an address. */
Test(cidr, mapped_addresses_become_ipv4)
{
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
	struct cidr_address a;
	char text[CIDR_TEXT_MAX];

	cr_assert_eq(inet_pton(AF_INET6, "::ffff:198.51.100.7", &mapped.sin6_addr), 1);
	cr_assert(cidr_address_of((struct sockaddr *)&mapped, &a));
	cidr_address_print(&a, text);
	cr_expect_str_eq(text, "198.51.100.7");
}

/* What is no network, and what is one but with bits behind its prefix. */
Test(cidr, parse_tells_what_is_wrong)
{
	static const char *const none[] = { "",       "/",      "10.0.0.0",     "10.0.0.0/",
					    "/8",     "10.0/8", "10.0.0.0/33",  "10.0.0.0/-1",
					    "::/129", "::/0x1", "10.0.0.0/8/8", "fe80::1%lo/64" };
	struct cidr c;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		cr_expect_eq(cidr_parse(none[i], &c), CIDR_NO_NETWORK, "%s", none[i]);
	cr_expect_eq(cidr_parse("10.0.0.1/8", &c), CIDR_HOST_BITS);
	cr_expect_eq(cidr_parse("10.0.0.128/24", &c), CIDR_HOST_BITS);
	cr_expect_eq(cidr_parse("10.0.0.128/25", &c), 0);
	cr_expect_eq(cidr_parse("2001:db8::1/127", &c), CIDR_HOST_BITS);
}
