/* SPDX-License-Identifier: Apache-2.0 */
#include "mask.h"
#include "sbuf.h"

#include <criterion/criterion.h>

static void expect(const char *target, const char *shown)
{
	struct sbuf b = SBUF_NULL;

	mask_target(&b, target);
	cr_assert_not(b.failed);
	cr_assert_str_eq(b.data ? b.data : "", shown);
	sbuf_deinit(&b);
}

Test(registry_mask, secrets_are_masked_wherever_they_stand)
{
	expect("/login?username=u&password=p", "/login?username=u&password=***");
	expect("/x?accessToken=eyJ.a.b&ip=1", "/x?accessToken=***&ip=1");
	expect("/x?a=1&accessToken=t&accessToken=t2", "/x?a=1&accessToken=***&accessToken=***");
	expect("/x?signature=a%2Bb%3D&data=1", "/x?signature=***&data=1");
	expect("/x?access%54oken=t", "/x?access%54oken=***");
	expect("/x?password=a=b", "/x?password=***");
	expect("/x?password=", "/x?password=***");
}

Test(registry_mask, all_else_stays_as_it_was)
{
	expect("", "");
	expect("/x", "/x");
	expect("/x?", "/x?");
	expect("/x?&&a&=b&", "/x?&&a&=b&");
	expect("/x?password", "/x?password");
	expect("/x?passwords=1&Password=2&%zz=3", "/x?passwords=1&Password=2&%zz=3");
	expect("/password=1?a=?password=2", "/password=1?a=?password=2");
}
