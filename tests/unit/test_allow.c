/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/* The allow-list: who a rule is for, what it permits, and what is said when none does. */
#include <criterion/criterion.h>

#include <string.h>

#include "segment/allow.h"

static char why[ALLOW_WHY_MAX];

static struct allow_rule *rule(struct allow *allow, const char *const texts[ALLOW_LISTS])
{
	struct allow_rule *r = allow_add(allow, "r");

	cr_assert(r);
	for (unsigned int k = 0; k < ALLOW_LISTS; k++) {
		if (texts[k])
			cr_assert_eq(allow_set(r, (enum allow_list)k, texts[k], why, sizeof(why)),
				     0, "%s: %s", texts[k], why);
	}
	return r;
}

static bool permits(const struct allow *allow, uid_t uid, gid_t gid, const char *service,
		    const char *ip, uint16_t port)
{
	const struct descriptor d = { .service = service, .ip = ip, .port = port };

	why[0] = '\0';
	return allow_permits(allow, allow_rules_of(allow, uid, gid, NULL, 0), uid, &d, why,
			     sizeof(why));
}

Test(allow, without_rules_everything_is_allowed_and_nothing_joined)
{
	const struct allow allow = { .n_rules = 0 };
	const struct descriptor d = { .service = "a", .ip = "::1", .port = 1 };

	cr_assert(permits(&allow, 7, 7, "a", "10.0.0.1", 80));
	cr_assert_not(allow_joins(&allow, 0, &d));
}

/* Each of three things spoils it alone. */
Test(allow, a_rule_permits_as_a_whole)
{
	static const char *const texts[ALLOW_LISTS] = { "7, 8", NULL, "web-*, api",
							"10.0.0.0/8 192.168.1.1 fd00::/8",
							"80, 8000-8999" };
	struct allow allow = { .n_rules = 0 };

	rule(&allow, texts);
	cr_assert(permits(&allow, 7, 0, "web-a", "10.1.2.3", 80));
	cr_assert(permits(&allow, 8, 0, "api", "192.168.1.1", 8999));
	cr_assert(permits(&allow, 8, 0, "api", "fd00::1", 8000));
	cr_assert_not(permits(&allow, 7, 0, "web", "10.1.2.3", 80));
	cr_assert_str_eq(why, "uid 7 may not register service 'web': no [allow] section says so");
	cr_assert_not(permits(&allow, 7, 0, "api", "11.0.0.1", 80));
	cr_assert_str_eq(
		why,
		"uid 7 may register 'api', but not at 11.0.0.1:80: no [allow] section says so");
	cr_assert_not(permits(&allow, 7, 0, "api", "192.168.1.2", 80));
	cr_assert_not(permits(&allow, 7, 0, "api", "10.0.0.1", 9000));
	cr_assert_not(permits(&allow, 7, 0, "api", "10.0.0.1", 7999));
	cr_assert_not(permits(&allow, 9, 7, "api", "10.0.0.1", 80), "a gid is no uid");
	allow_deinit(&allow);
}

/* What one rule lacks, another does not add. */
Test(allow, rules_are_not_mixed)
{
	static const char *const one[ALLOW_LISTS] = { "7", NULL, "a", NULL, "80" };
	static const char *const two[ALLOW_LISTS] = { "7", NULL, "b", NULL, "90" };
	struct allow allow = { .n_rules = 0 };

	rule(&allow, one);
	rule(&allow, two);
	cr_assert(permits(&allow, 7, 0, "a", "10.0.0.1", 80));
	cr_assert(permits(&allow, 7, 0, "b", "10.0.0.1", 90));
	cr_assert_not(permits(&allow, 7, 0, "a", "10.0.0.1", 90));
	allow_deinit(&allow);
}

Test(allow, groups_count_by_first_and_by_others)
{
	static const char *const texts[ALLOW_LISTS] = { NULL, "50", NULL, NULL, NULL };
	const gid_t groups[] = { 1, 50 };
	struct allow allow = { .n_rules = 0 };

	rule(&allow, texts);
	cr_assert_eq(allow_rules_of(&allow, 7, 50, NULL, 0), 1);
	cr_assert_eq(allow_rules_of(&allow, 7, 7, groups, 2), 1);
	cr_assert_eq(allow_rules_of(&allow, 50, 7, groups, 1), 0);
	allow_deinit(&allow);
}

Test(allow, names_and_everybody)
{
	static const char *const root[ALLOW_LISTS] = { "root", NULL, "r-*", NULL, NULL };
	static const char *const all[ALLOW_LISTS] = { "*", NULL, "public-*", NULL, NULL };
	struct allow allow = { .n_rules = 0 };

	rule(&allow, root);
	rule(&allow, all);
	cr_assert(permits(&allow, 0, 0, "r-1", "10.0.0.1", 80));
	cr_assert(permits(&allow, 4711, 4711, "public-1", "10.0.0.1", 80));
	cr_assert_not(permits(&allow, 4711, 4711, "r-1", "10.0.0.1", 80));
	allow_deinit(&allow);
}

Test(allow, joining_needs_a_word_of_its_own)
{
	static const char *const texts[ALLOW_LISTS] = { "7", NULL, "a", NULL, NULL };
	const struct descriptor a = { .service = "a", .ip = "10.0.0.1", .port = 1 };
	const struct descriptor b = { .service = "b", .ip = "10.0.0.1", .port = 1 };
	struct allow allow = { .n_rules = 0 };
	struct allow_rule *r = rule(&allow, texts);

	cr_assert_not(allow_joins(&allow, 1, &a));
	r->join = true;
	cr_assert(allow_joins(&allow, 1, &a));
	cr_assert_not(allow_joins(&allow, 1, &b));
	cr_assert_not(allow_joins(&allow, 0, &a));
	allow_deinit(&allow);
}

Test(allow, lists_and_rules_have_an_end)
{
	struct allow allow = { .n_rules = 0 };
	struct allow_rule *r = allow_add(&allow, "r");
	char text[2 * ALLOW_ITEMS_MAX + 2];

	for (uint32_t i = 0; i <= ALLOW_ITEMS_MAX; i++)
		memcpy(text + 2 * i, "1 ", 2);
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(allow_set(r, ALLOW_UID, text, why, sizeof(why)), ALLOW_REFUSED);
	cr_assert_str_eq(why, "has more than 64 items: use another section");
	while (allow.n_rules < ALLOW_RULES_MAX)
		cr_assert(allow_add(&allow, "r"));
	cr_assert_null(allow_add(&allow, "one too many"));
	allow_deinit(&allow);
}
