/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "control/nearest.h"

Test(nearest, finds_typing_mistakes_and_nothing_else)
{
	static const char *const words[] = { "url", "context", "namespace" };

	cr_expect_str_eq(nearest_word("nmaespace", words, 3), "namespace",
			 "two neighbours swapped");
	cr_expect_str_eq(nearest_word("CONTEXT", words, 3), "context", "upper case");
	cr_expect_str_eq(nearest_word("contxt", words, 3), "context", "one left out");
	cr_expect_str_eq(nearest_word("contextx", words, 3), "context", "one too many");
	cr_expect_str_eq(nearest_word("urk", words, 3), "url", "one changed");
	cr_expect_str_eq(nearest_word("cantaxt", words, 3), "context", "two changed");
	cr_expect_str_eq(nearest_word("nmaespxce", words, 3), "namespace", "a swap counts once");
	cr_expect_null(nearest_word("cantaxd", words, 3));
	cr_expect_null(nearest_word("ukk", words, 3), "half of a short word");
	cr_expect_null(nearest_word("", words, 3));
	cr_expect_null(
		nearest_word("namespacenamespacenamespacenamespacenamespacenamespace", words, 3));
}
