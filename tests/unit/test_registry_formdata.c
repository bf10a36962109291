/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
#include <criterion/criterion.h>
#include <string.h>

#include "formdata.h"

static struct formdata form;
static char text[256];

static void parse(const char *query)
{
	strncpy(text, query, sizeof(text) - 1);
	cr_assert_eq(formdata_parse(&form, text), 0);
}

static void close_form(void)
{
	formdata_deinit(&form);
}

TestSuite(registry_formdata, .fini = close_form);

Test(registry_formdata, decodes_names_and_values)
{
	parse("a%62=DEFAULT_GROUP%40%40o+r%2b&empty=&bare&x=1=2&=nameless");
	cr_assert_str_eq(formdata_get(&form, "ab"), "DEFAULT_GROUP@@o r+");
	cr_assert_str_eq(formdata_raw(&form, "empty"), "");
	cr_assert_str_eq(formdata_raw(&form, "bare"), "");
	cr_assert_str_eq(formdata_get(&form, "x"), "1=2");
	cr_assert_eq(form.n_pairs, 4);
}

Test(registry_formdata, trims_and_takes_blank_for_absent)
{
	parse("a=%20%09x%20y%0a&b=%20+&c=");
	cr_assert_str_eq(formdata_get(&form, "a"), "x y");
	cr_assert_null(formdata_get(&form, "b"));
	cr_assert_null(formdata_get(&form, "c"));
	cr_assert_null(formdata_get(&form, "d"));
	cr_assert_str_eq(formdata_or(&form, "b", "fallback"), "fallback");
}

/* The query is parsed before the body, so its value is the one that counts. */
Test(registry_formdata, the_first_of_a_name_counts)
{
	char body[] = "a=3&b=4";

	parse("a=1&a=2");
	cr_assert_eq(formdata_parse(&form, body), 0);
	cr_assert_str_eq(formdata_get(&form, "a"), "1");
	cr_assert_str_eq(formdata_get(&form, "b"), "4");
}

Test(registry_formdata, drops_a_parameter_that_cannot_be_decoded)
{
	parse("a=%4&b=%zz&c=%&d=x%00y&e%=1&f=ok");
	cr_assert_eq(form.n_pairs, 1);
	cr_assert_str_eq(formdata_get(&form, "f"), "ok");
}
