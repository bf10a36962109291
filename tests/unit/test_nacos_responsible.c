/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which member owns an instance: Java's arithmetic, the protocol's vectors and a cluster's own answers
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "nacos/responsible.h"

static const struct descriptor orders = {
	.group = "DEFAULT_GROUP", .service = "orders", .ip = "10.0.0.1", .port = 8080
};

Test(nacos_responsible, hash_is_that_of_java)
{
	cr_expect_eq(responsible_hash(""), 0);
	cr_expect_eq(responsible_hash("a"), 97);
	cr_expect_eq(responsible_hash("10.0.0.1:8080"), -1643343804);
	cr_expect_eq(responsible_hash("10.0.0.1:8081"), -1643343803);
	cr_expect_eq(responsible_hash("DEFAULT_GROUP@@orders"), -248381274);
	/* The one whose absolute value Java cannot take. */
	cr_expect_eq(responsible_hash("polygenelubricants"), INT32_MIN);
	/* UTF-16 units: one of two bytes, one of three, two of four. */
	cr_expect_eq(responsible_hash("\u00e9"), 0xe9);
	cr_expect_eq(responsible_hash("\u5317"), 0x5317);
	cr_expect_eq(responsible_hash("\U0001f680"), 0xd83d * 31 + 0xde80);
}

Test(nacos_responsible, index_is_that_of_the_servers)
{
	cr_expect_eq(responsible_index("10.0.0.1:8080", 3), 0);
	cr_expect_eq(responsible_index("10.0.0.1:8081", 3), 2);
	cr_expect_eq(responsible_index("DEFAULT_GROUP@@orders", 3), 0);
	/* INT32_MIN % INT32_MAX is -1. */
	cr_expect_eq(responsible_index("polygenelubricants", 3), 1);
	cr_expect_eq(responsible_index("anything", 1), 0);
}

Test(nacos_responsible, tag_follows_the_version)
{
	struct descriptor v6 = orders;
	char buf[RESPONSIBLE_TAG_MAX];

	v6.ip = "2001:db8::7";
	cr_expect_eq(responsible_tag(RESPONSIBLE_BY_SERVICE, &orders, buf, sizeof(buf)), 21);
	cr_expect_str_eq(buf, "DEFAULT_GROUP@@orders");
	cr_expect_eq(responsible_tag(RESPONSIBLE_BY_ADDRESS, &orders, buf, sizeof(buf)), 13);
	cr_expect_str_eq(buf, "10.0.0.1:8080");
	cr_expect_eq(responsible_tag(RESPONSIBLE_BY_ADDRESS, &orders, buf, 13), 0);
	/* As requests carry it. */
	responsible_tag(RESPONSIBLE_BY_ADDRESS, &v6, buf, sizeof(buf));
	cr_expect_str_eq(buf, "[2001:db8::7]:8080");
}

/* Any bytes: a text that is no UTF-8 ends where it ends. */
Test(nacos_responsible, broken_texts_are_read_to_their_end)
{
	static const char *const texts[] = { "\xff",          "\xe5",     "\xe5\x8c",
					     "a\xf0\x9f\x9a", "\x80\x80", "\xc3" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *copy = strdup(texts[i]);

		cr_assert(copy);
		cr_expect_lt(responsible_index(copy, 7), 7u);
		free(copy);
	}
}
