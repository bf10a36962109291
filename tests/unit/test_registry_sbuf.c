/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "sbuf.h"

static struct sbuf buf;

static void close_buf(void)
{
	sbuf_deinit(&buf);
}

TestSuite(registry_sbuf, .fini = close_buf);

Test(registry_sbuf, doubles_look_like_java_s)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{ 1, "1.0" },         { 0, "0.0" },         { 10, "10.0" },
		{ 10000, "10000.0" }, { 2.5, "2.5" },       { 0.01, "0.01" },
		{ 0.1, "0.1" },       { 1234.5, "1234.5" }, { 1 / 3.0, "0.3333333333333333" },
		{ NAN, "\"NaN\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sbuf_double(&buf, cases[i].value);
		cr_assert_str_eq(buf.data, cases[i].text);
		sbuf_deinit(&buf);
	}
}

/* Whatever bytes a client sends, a JSON reply stays valid UTF-8 and valid JSON. */
Test(registry_sbuf, json_survives_any_bytes)
{
	sbuf_json(&buf, "a\"\\\n\x01\x7f é😀 \xff\xc3(\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf\xe2\x82");
	cr_assert_str_eq(buf.data, "\"a\\\"\\\\\\n\\u0001\x7f é😀 "
				   "\xef\xbf\xbd\xef\xbf\xbd("
				   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
				   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
				   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

Test(registry_sbuf, html_cannot_break_out)
{
	sbuf_html(&buf, "<b a='1' c=\"2\">&");
	cr_assert_str_eq(buf.data, "&#60;b a=&#39;1&#39; c=&#34;2&#34;&#62;&#38;");
}

Test(registry_sbuf, grows_and_stays_terminated)
{
	for (unsigned int i = 0; i < 5000; i++)
		sbuf_fmt(&buf, "%u,", i % 10);
	cr_assert_eq(buf.len, 10000);
	cr_assert_eq(strlen(buf.data), 10000);
	cr_assert_not(buf.failed);
}
