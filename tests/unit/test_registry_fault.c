/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "formdata.h"

static struct faults faults;
static char reason[256];

static bool add(const char *text)
{
	struct formdata params = FORMDATA_NULL;
	char copy[256];
	bool added;

	snprintf(copy, sizeof(copy), "%s", text);
	cr_assert_eq(formdata_parse(&params, copy), 0);
	added = fault_add(&faults, &params, "body", reason, sizeof(reason));
	formdata_deinit(&params);
	return added;
}

static enum fault_kind take(int node, const char *method, const char *target)
{
	struct fault_hit hit = fault_take(&faults, node, method, target);

	fault_hit_deinit(&hit);
	return hit.kind;
}

/* A rule that names a node, a method and a path meets nobody else. */
Test(registry_fault, meets_what_it_names)
{
	cr_assert(add("kind=500&node=1&method=PUT&path=/a&query=q%3D1"));
	cr_assert_eq(take(0, "PUT", "/a?q=1"), FAULT_NONE);
	cr_assert_eq(take(1, "POST", "/a?q=1"), FAULT_NONE);
	cr_assert_eq(take(1, "PUT", "/b?q=1"), FAULT_NONE);
	cr_assert_eq(take(1, "PUT", "/a?q=2"), FAULT_NONE);
	cr_assert_eq(take(1, "PUT", "/a?q=1"), FAULT_500);
	fault_clear(&faults);
}

/* The texts of a reply outlive the rule that they came from. */
Test(registry_fault, a_hit_owns_its_texts)
{
	struct fault_hit hit;

	cr_assert(add("kind=reply&status=404&count=1&type=t"));
	hit = fault_take(&faults, 0, "GET", "/nacos/x");
	cr_assert_eq(faults.n_rules, 0);
	cr_assert_eq(hit.status, 404);
	cr_assert_str_eq(hit.type, "t");
	cr_assert_str_eq(hit.body, "body");
	fault_hit_deinit(&hit);
}

/* When the first of three is used up, the others keep their order. */
Test(registry_fault, rules_go_in_order)
{
	cr_assert(add("kind=503&count=1") && add("kind=500&count=1") && add("kind=403&count=1"));
	cr_assert_eq(take(0, "GET", "/nacos/"), FAULT_503);
	cr_assert_eq(take(0, "GET", "/nacos/"), FAULT_500);
	cr_assert_eq(take(0, "GET", "/nacos/"), FAULT_403);
	cr_assert_eq(take(0, "GET", "/nacos/"), FAULT_NONE);
}

/* A refused rule changes nothing. */
Test(registry_fault, refuses_what_it_does_not_know)
{
	cr_assert_not(add("kind=503&count=-1"));
	cr_assert_str_eq(reason, "fault: count: \"-1\" is not a number from 1 to 1000000000");
	cr_assert_not(add("kind=503&node=64"));
	cr_assert_not(add("kind=503&ms=1000000000000"));
	cr_assert_eq(faults.n_rules, 0);
}
