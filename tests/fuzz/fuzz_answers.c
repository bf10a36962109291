/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole answers of servers: agent/nacos/reply.c, login.c, members.c, serverlist.c and what they stand on. The
 * input is a letter for what was asked, three digits of status, and the body.
 *
 *   r d b  register, deregister, beat of v1; R D B of v3     l  login
 *   m      members of a cluster                              s  server list of an endpoint; S by https
 *
 * Each has a verdict, and a line that says why it is not a good one. What is taken from a good one can be used as
 * it is: the token in a header, the addresses in a URL.
 */
#include "fuzz/fuzz.h"
#include "nacos/login.h"
#include "nacos/members.h"
#include "nacos/reply.h"
#include "nacos/serverlist.h"

static bool is_header_value(const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p <= 0x20 || *p >= 0x7f)
			return false;
	}
	return text[0] != '\0';
}

static bool is_address(const char *text)
{
	char again[ADDRESS_SIZE];

	return address_read(text, strlen(text), again) && strcmp(text, again) == 0;
}

static void check_call(enum nacos_version version, enum nacos_call call, int status,
		       const char *body, size_t n)
{
	struct nacos_outcome o;

	nacos_judge(version, call, status, body, n, &o);
	FUZZ_CHECK(memchr(o.text, '\0', sizeof(o.text)) && fuzz_is_line(o.text));
	FUZZ_CHECK((o.verdict == NACOS_OK) == (o.text[0] == '\0'));
	FUZZ_CHECK(status == 200 || o.verdict != NACOS_OK);
	FUZZ_CHECK(o.verdict != NACOS_UNKNOWN || call == NACOS_BEAT);
	FUZZ_CHECK(version == NACOS_V1 || o.interval_ms == 0);
	/* Of v3 nothing is good that does not say so by a code. */
	FUZZ_CHECK(version == NACOS_V1 || o.verdict != NACOS_OK || memmem(body, n, "code", 4));
}

static void check_login(int status, const char *body, size_t n)
{
	static struct login_outcome o;

	login_judge(status, body, n, &o);
	FUZZ_CHECK(memchr(o.text, '\0', sizeof(o.text)) && fuzz_is_line(o.text));
	FUZZ_CHECK((o.verdict == LOGIN_OK) == (o.text[0] == '\0'));
	FUZZ_CHECK(o.n_token == strlen(o.token));
	FUZZ_CHECK((o.verdict == LOGIN_OK) == is_header_value(o.token));
	FUZZ_CHECK(status == 200 || o.verdict != LOGIN_OK);
	login_outcome_wipe(&o);
	FUZZ_CHECK(o.n_token == 0 && o.token[0] == '\0');
}

static void check_members(int status, const char *body, size_t n)
{
	static struct members m;

	members_read(status, body, n, &m);
	FUZZ_CHECK(memchr(m.text, '\0', sizeof(m.text)) && fuzz_is_line(m.text));
	FUZZ_CHECK((m.verdict == MEMBERS_OK) == (m.text[0] == '\0'));
	FUZZ_CHECK((m.verdict == MEMBERS_OK) == (m.n > 0));
	FUZZ_CHECK(m.n <= MEMBERS_MAX && m.n_owners <= m.n);
	for (uint32_t i = 0; i < m.n; i++) {
		FUZZ_CHECK(is_address(m.members[i].address));
		FUZZ_CHECK((i < m.n_owners) == (m.members[i].state != MEMBER_DOWN));
		FUZZ_CHECK(i == 0 || i == m.n_owners ||
			   strcmp(m.members[i - 1].address, m.members[i].address) < 0);
	}
}

static void check_serverlist(int status, const char *body, size_t n, bool tls)
{
	static struct serverlist list;
	char why[SERVERLIST_WHY_SIZE];
	bool good = serverlist_read(status, body, n, tls, &list, why);

	FUZZ_CHECK(memchr(why, '\0', sizeof(why)) && fuzz_is_line(why));
	FUZZ_CHECK(good == (why[0] == '\0') && good == (list.n > 0));
	FUZZ_CHECK(list.n <= SERVERLIST_MAX);
	for (uint32_t i = 0; i < list.n; i++) {
		const char *url = list.urls[i];

		FUZZ_CHECK(strncmp(url, "http", 4) == 0 && strstr(url, "://"));
		FUZZ_CHECK(is_address(strstr(url, "://") + 3));
	}
	FUZZ_CHECK(serverlist_equal(&list, &list));
}

static void check(char what, int status, const char *body, size_t n)
{
	static const char calls[] = "rdbRDB";
	const char *at = what ? strchr(calls, what) : NULL;

	if (at)
		check_call(at - calls < 3 ? NACOS_V1 : NACOS_V3,
			   (enum nacos_call)((at - calls) % 3), status, body, n);
	else if (what == 'l')
		check_login(status, body, n);
	else if (what == 'm')
		check_members(status, body, n);
	else
		check_serverlist(status, body, n, what == 'S');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int status = 0;
	char *body;

	if (size < 4)
		return 0;
	for (int i = 1; i < 4; i++)
		status = status * 10 + (data[i] % 48) % 10;
	body = fuzz_copy(data + 4, size - 4);
	check((char)data[0], status, body, size - 4);
	free(body);
	return 0;
}
