/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Member lists: the shapes of 1.4, 2.x and 3.x, and what is none
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacos/members.h"

/* A member as 2.5.1 writes it. */
#define NODE(ip, port, state)                                                                        \
	"{\"ip\":\"" ip "\",\"port\":" #port ",\"state\":\"" state                                   \
	"\",\"extendInfo\":{\"lastRefreshTime\":1795420236784,\"raftMetaData\":{\"metaDataMap\":{"   \
	"\"naming_instance_metadata\":{\"leader\":\"" ip                                             \
	":7848\",\"raftGroupMember\":[\"10.0.0.1:7848\",\"10.0.0.2:7848\",\"10.0.0.3:7848\"],"       \
	"\"term\":3},\"naming_service_metadata\":{\"leader\":\"" ip                                  \
	":7848\",\"raftGroupMember\":[\"10.0.0.1:7848\",\"10.0.0.2:7848\",\"10.0.0.3:7848\"],"       \
	"\"term\":3}}},\"raftPort\":\"7848\",\"readyToUpgrade\":true,\"version\":\"2.5.1\"},"        \
	"\"address\":\"" ip ":" #port                                                                \
	"\",\"failAccessCnt\":0,\"abilities\":{\"remoteAbility\":{\"supportRemoteConnection\":true," \
	"\"grpcReportEnabled\":true},\"configAbility\":{\"supportRemoteMetrics\":false},"            \
	"\"namingAbility\":{\"supportJraft\":true}},\"grpcReportEnabled\":true}"

#define SPRING_404                                                         \
	"{\"timestamp\":\"2026-11-23T07:50:28.668+00:00\",\"status\":404," \
	"\"error\":\"Not Found\",\"message\":\"No message available\",\"path\":\"/x\"}"

/* From a heap copy of exactly its size, so that a sanitizer sees one byte read too many. */
static struct members *read_n(int status, const char *body, size_t n)
{
	static struct members out;
	char *copy = malloc(n > 0 ? n : 1);

	cr_assert(copy);
	memset(&out, 0x5a, sizeof(out));
	memcpy(copy, body, n);
	members_read(status, copy, n, &out);
	free(copy);
	return &out;
}

static struct members *read_text(int status, const char *body)
{
	return read_n(status, body, strlen(body));
}

static void expect_list(const struct members *m, const char *want)
{
	char text[1024] = "";
	size_t n = 0;

	cr_assert_eq(m->verdict, MEMBERS_OK, "%s", m->text);
	for (uint32_t i = 0; i < m->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
				      i == m->n_owners ? "| " : "", m->members[i].address),
			n += (size_t)snprintf(text + n, sizeof(text) - n, " ");
	cr_expect_str_eq(text, want);
	cr_expect_str_eq(m->text, "");
}

/* Sorted as text, where 18848 comes before 9888; those that own nothing behind the others. */
Test(nacos_members, nodes_of_2_x)
{
	static const char data[] = "[" NODE("127.0.0.1", 9888, "UP") "," NODE(
		"127.0.0.1", 18868, "SUSPICIOUS") "," NODE("127.0.0.1", 18858,
							   "DOWN") "," NODE("127.0.0.1", 18848,
									    "UP") "]";
	char body[8192];
	const struct members *m;

	snprintf(body, sizeof(body), "{\"code\":200,\"message\":null,\"data\":%s}", data);
	m = read_text(200, body);
	expect_list(m, "127.0.0.1:18848 127.0.0.1:18868 127.0.0.1:9888 | 127.0.0.1:18858 ");
	cr_expect_eq(m->version, 2);
	cr_expect_eq(m->members[1].state, MEMBER_SUSPICIOUS);
	snprintf(body, sizeof(body), "{\"code\":0,\"message\":\"success\",\"data\":%s}", data);
	cr_expect_eq(read_text(200, body)->n_owners, 3);
}

Test(nacos_members, servers_of_1_4)
{
	const struct members *m = read_text(
		200,
		"{\"servers\":[{\"ip\":\"10.0.0.2\",\"port\":8848,\"state\":\"UP\",\"extendInfo\":"
		"{\"lastRefreshTime\":1,\"raftMetaData\":{},\"raftPort\":\"7848\",\"version\":\"1.4.8\"},"
		"\"address\":\"10.0.0.2:8848\",\"failAccessCnt\":0,\"abilities\":{}},"
		"{\"address\":\"10.0.0.1:8848\",\"state\":\"STARTING\"}]}");

	expect_list(m, "10.0.0.2:8848 | 10.0.0.1:8848 ");
	cr_expect_eq(m->version, 1);
}

Test(nacos_members, addresses_alone_count_as_up)
{
	const struct members *m = read_text(
		200,
		"{\"code\":200,\"data\":[\"b:8848\",\"a:8848\",\"b:8848\",\"[fe80::1]:8848\"]}");

	expect_list(m, "[fe80::1]:8848 a:8848 b:8848 ");
	cr_expect_eq(m->version, 0);
}

struct refusal {
	int status;
	const char *body;
	enum members_verdict verdict;
	const char *text;
};

static const struct refusal refusals[] = {
	{ 403, "unknown user!", MEMBERS_DENIED, "unknown user!" },
	{ 401, "", MEMBERS_DENIED, "HTTP 401 without a reason" },
	{ 404, SPRING_404, MEMBERS_NO_API, "Not Found" },
	{ 410, "", MEMBERS_NO_API, "HTTP 410 without a reason" },
	{ 501, "{\"message\":\"no such api:GET:/nacos/v1/ns/operator/servers\"}", MEMBERS_NO_API,
	  "no such api:GET:/nacos/v1/ns/operator/servers" },
	{ 500, "caused: x;", MEMBERS_FAILED, "caused: x;" },
	{ 200, "ok", MEMBERS_FAILED, "not a Nacos reply: ok" },
	{ 200, "", MEMBERS_FAILED, "not a Nacos reply: an empty body" },
	{ 200, "<title>Hello</title>", MEMBERS_FAILED, "not a Nacos reply: Hello" },
	{ 200, "{}", MEMBERS_FAILED, "not a Nacos reply: nothing to read in it" },
	{ 200, "{\"code\":10001,\"message\":\"access denied\",\"data\":[]}", MEMBERS_FAILED,
	  "access denied" },
	{ 200, "{\"data\":[\"a:1\"]}", MEMBERS_FAILED, "not a Nacos reply: nothing to read in it" },
	{ 200, "{\"code\":0,\"data\":null}", MEMBERS_FAILED, "no list of at most 64 members" },
	{ 200, "{\"code\":0,\"data\":\"a:1\"}", MEMBERS_FAILED, "no list of at most 64 members" },
	{ 200, "{\"code\":0,\"data\":{}}", MEMBERS_FAILED, "no list of at most 64 members" },
	{ 200, "{\"code\":0,\"data\":[]}", MEMBERS_FAILED, "an empty list of members" },
	{ 200, "{\"code\":0,\"data\":[\"a:1\",7]}", MEMBERS_FAILED, "a member without an address" },
	{ 200, "{\"code\":0,\"data\":[{\"state\":\"UP\"}]}", MEMBERS_FAILED,
	  "a member without an address" },
	{ 200, "{\"code\":0,\"data\":[\"a:1\",\"a b\"]}", MEMBERS_FAILED,
	  "a member without an address" },
	{ 200, "{\"code\":0,\"data\":[\"a:1\\r\\nX: y\"]}", MEMBERS_FAILED,
	  "a member without an address" },
	{ 200, "{\"code\":0,\"data\":[\"a\":1]}", MEMBERS_FAILED, NULL },
};

Test(nacos_members, refusals)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		const struct members *m = read_text(r->status, r->body);

		cr_expect_eq(m->verdict, r->verdict, "%zu: verdict %d", i, (int)m->verdict);
		cr_expect_eq(m->n, 0, "%zu", i);
		cr_expect_eq(m->n_owners, 0, "%zu", i);
		if (r->text)
			cr_expect_str_eq(m->text, r->text, "%zu: %s", i, m->text);
		else
			cr_expect(m->text[0]);
	}
}

/* Cut anywhere, no list is taken for whole. */
Test(nacos_members, cut_lists_are_refused)
{
	static const char body[] = "{\"code\":200,\"message\":null,\"data\":[" NODE(
		"10.0.0.1", 8848, "UP") "," NODE("10.0.0.2", 8848, "UP") "]}";

	cr_expect_eq(read_text(200, body)->n, 2);
	for (size_t n = 0; n < sizeof(body) - 1; n++) {
		const struct members *m = read_n(200, body, n);

		cr_assert_eq(m->verdict, MEMBERS_FAILED, "cut at %zu", n);
		cr_assert(m->text[0], "cut at %zu", n);
	}
}

Test(nacos_members, as_many_as_there_is_room_for)
{
	char body[8192];

	for (unsigned int wanted = MEMBERS_MAX; wanted <= MEMBERS_MAX + 1; wanted++) {
		size_t n = (size_t)snprintf(body, sizeof(body), "{\"code\":0,\"data\":[");
		const struct members *m;

		for (unsigned int i = 0; i < wanted; i++)
			n += (size_t)snprintf(body + n, sizeof(body) - n, "%s\"10.0.0.%u:8848\"",
					      i > 0 ? "," : "", i);
		snprintf(body + n, sizeof(body) - n, "]}");
		m = read_text(200, body);
		cr_expect_eq(m->n, wanted > MEMBERS_MAX ? 0 : wanted);
	}
}

/* A body made to cost memory or time is refused for its size in parts. */
Test(nacos_members, deep_and_wide_bodies_are_refused)
{
	static char body[65536];

	memset(body, '[', sizeof(body));
	cr_expect_eq(read_n(200, body, sizeof(body))->verdict, MEMBERS_FAILED);
	for (size_t i = 0; i + 2 < sizeof(body); i += 2)
		memcpy(body + i, "1,", 2);
	memcpy(body, "{\"code\":0,\"data\":[", 18);
	memcpy(body + sizeof(body) - 3, "1]}", 3);
	cr_expect_eq(read_n(200, body, sizeof(body))->verdict, MEMBERS_FAILED);
}

Test(nacos_members, paths_end)
{
	char buf[64];

	cr_expect_gt(members_path("/nacos", 0, buf, sizeof(buf)), 0);
	cr_expect_str_eq(buf, "/nacos/v1/core/cluster/nodes");
	cr_expect_gt(members_path("", 3, buf, sizeof(buf)), 0);
	cr_expect_str_eq(buf, "/v3/admin/core/cluster/node/list");
	cr_expect_eq(members_path("", MEMBERS_PATHS, buf, sizeof(buf)), 0);
	cr_expect_eq(members_path("/nacos", 0, buf, 8), 0);
}
