/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server lists from an endpoint, and the addresses in them
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacos/address.h"
#include "nacos/serverlist.h"

static struct serverlist list;
static char why[SERVERLIST_WHY_SIZE];

/* From a heap copy of exactly its size, so that a sanitizer sees one byte read too many. */
static bool read_n(int status, const char *body, size_t n, bool tls)
{
	char *copy = malloc(n > 0 ? n : 1);
	bool good;

	cr_assert(copy);
	memset(&list, 0x5a, sizeof(list));
	memset(why, 0x5a, sizeof(why));
	memcpy(copy, body, n);
	good = serverlist_read(status, copy, n, tls, &list, why);
	free(copy);
	cr_assert_eq(good, list.n > 0);
	cr_assert_eq(good, why[0] == '\0');
	return good;
}

static void expect_list(const char *body, const char *want)
{
	char text[1024];
	size_t n = 0;

	cr_assert(read_n(200, body, strlen(body), false), "%s", why);
	for (uint32_t i = 0; i < list.n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i > 0 ? " " : "",
				      list.urls[i]);
	cr_expect_str_eq(text, want);
}

Test(nacos_serverlist, one_server_a_line)
{
	expect_list("10.0.0.1:8848\n10.0.0.2\nnacos-3.example.com:80\n",
		    "http://10.0.0.1:8848 http://10.0.0.2:8848 http://nacos-3.example.com:80");
	expect_list("10.0.0.1", "http://10.0.0.1:8848");
	expect_list("[2001:db8::7]\n[::1]:1\n", "http://[2001:db8::7]:8848 http://[::1]:1");
}

Test(nacos_serverlist, whatever_editors_leave_behind)
{
	expect_list("\xef\xbb\xbf"
		    "10.0.0.1:8848\r\n\r\n  \t\r\n\t10.0.0.2:8848 \r\n# old: 10.0.0.3\r\n\n",
		    "http://10.0.0.1:8848 http://10.0.0.2:8848");
	expect_list("a\nA:8848\nhttp://a\nb\n", "http://a:8848 http://b:8848");
}

/* An address without a scheme is asked as the endpoint itself was configured. */
Test(nacos_serverlist, schemes)
{
	static const char body[] = "a\nhttp://b\nhttps://c:443\nHTTPS://d\n";

	expect_list(body, "http://a:8848 http://b:8848 https://c:443 https://d:8848");
	cr_assert(read_n(200, body, strlen(body), true));
	cr_expect_str_eq(list.urls[0], "https://a:8848");
	cr_expect_str_eq(list.urls[1], "http://b:8848");
}

struct refusal {
	int status;
	const char *body;
	const char *why;
};

static const struct refusal refusals[] = {
	{ 404, "", "HTTP 404, 200 expected" },
	{ 500, "10.0.0.1\n", "HTTP 500, 200 expected" },
	{ 200, "", "an empty list, one server a line expected" },
	{ 200, "\r\n\n# none\n", "an empty list, one server a line expected" },
	{ 200, "<html>\n", "line 1: \"<html>\": not host[:port], one a line" },
	{ 200, "a\n10.0.0.1:8848,10.0.0.2:8848\n",
	  "line 2: \"10.0.0.1:8848,10.0.0.2:8848\": not host[:port], one a line" },
	{ 200, "a:\n", "line 1: \"a:\": not host[:port], one a line" },
	{ 200, "a:0\n", "line 1: \"a:0\": not host[:port], one a line" },
	{ 200, "a:65536\n", "line 1: \"a:65536\": not host[:port], one a line" },
	{ 200, "a:123456\n", "line 1: \"a:123456\": not host[:port], one a line" },
	{ 200, "a:8848/nacos\n", "line 1: \"a:8848/nacos\": not host[:port], one a line" },
	{ 200, "::1\n", "line 1: \"::1\": not host[:port], one a line" },
	{ 200, "[]\n", "line 1: \"[]\": not host[:port], one a line" },
	{ 200, "[::1\n", "line 1: \"[::1\": not host[:port], one a line" },
	{ 200, "[::1]x\n", "line 1: \"[::1]x\": not host[:port], one a line" },
	{ 200, "ftp://a\n", "line 1: \"ftp://a\": not host[:port], one a line" },
	{ 200, "http://\n", "line 1: \"http://\": not host[:port], one a line" },
	{ 200, "user@a\n", "line 1: \"user@a\": not host[:port], one a line" },
	{ 200, "a b\n", "line 1: \"a b\": not host[:port], one a line" },
	{ 200, "a\x1b[2J\n", "line 1: \"a[2J\": not host[:port], one a line" },
	{ 200, "-a\n", "line 1: \"-a\": not host[:port], one a line" },
	{ 200, "caf\xc3\xa9\n", "line 1: \"caf\xc3\xa9\": not host[:port], one a line" },
};

/* With one bad line the old list stays: the good ones may be half of what was meant. */
Test(nacos_serverlist, refusals)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];

		cr_expect_not(read_n(r->status, r->body, strlen(r->body), false), "%zu", i);
		cr_expect_str_eq(why, r->why, "%zu: %s", i, why);
	}
	cr_expect_not(read_n(200, "a\0b\n", 4, false));
}

Test(nacos_serverlist, as_many_as_a_registry_has_nodes)
{
	char body[2048];
	size_t n = 0;

	for (unsigned int i = 0; i < SERVERLIST_MAX; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "10.0.0.%u\n", i);
	cr_expect(read_n(200, body, n, false));
	cr_expect_eq(list.n, SERVERLIST_MAX);
	n += (size_t)snprintf(body + n, sizeof(body) - n, "10.0.0.7\n"); /* again */
	cr_expect(read_n(200, body, n, false));
	n += (size_t)snprintf(body + n, sizeof(body) - n, "one-more\n");
	cr_expect_not(read_n(200, body, n, false));
	cr_expect_str_eq(why, "line 66: \"one-more\": more than 64 servers");
}

/* A megabyte of one line, or of lines: refused at the first that is wrong, and shown in part. */
Test(nacos_serverlist, long_bodies)
{
	static char body[1 << 20];

	memset(body, 'a', sizeof(body));
	cr_expect_not(read_n(200, body, sizeof(body), false));
	cr_expect_lt(strlen(why), sizeof(why));
	memset(body, '\n', sizeof(body));
	cr_expect_not(read_n(200, body, sizeof(body), false));
}

Test(nacos_serverlist, equal_in_whatever_order)
{
	static struct serverlist a;

	read_n(200, "a\nb\n", 4, false);
	a = list;
	read_n(200, "b\na\n", 4, false);
	cr_expect(serverlist_equal(&a, &list));
	read_n(200, "b\nc\n", 4, false);
	cr_expect_not(serverlist_equal(&a, &list));
	read_n(200, "a\n", 2, false);
	cr_expect_not(serverlist_equal(&a, &list));
}

Test(nacos_serverlist, longest_host)
{
	char text[300];
	char out[ADDRESS_SIZE];

	memset(text, 'a', sizeof(text));
	memcpy(text + 253, ":65535", 6);
	cr_expect(address_read(text, 259, out));
	cr_expect_eq(strlen(out), 259);
	memset(text, 'a', sizeof(text));
	cr_expect(address_read(text, 253, out));
	cr_expect_not(address_read(text, 254, out));
	cr_expect_str_eq(out, "");
}
