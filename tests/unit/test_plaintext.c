/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "http/plaintext.h"

/* Who sees the packets? */
Test(plaintext, exposes)
{
	static const struct {
		const char *url;
		bool exposes;
	} urls[] = {
		{ "http://10.0.0.1:8848", true },
		{ "http://nacos.example:8848/nacos", true },
		{ "http://[2001:db8::1]:8848", true },
		{ "https://10.0.0.1:8848", false },
		{ "HTTPS://nacos.example", false },
		{ "http://127.0.0.1:8848", false },
		{ "http://127.8.9.1", false },
		{ "http://[::1]:8848/nacos", false },
		{ "http://localhost:8848", false },
		{ "http://LOCALHOST", false },
		{ "http://localhost.:8848", false },
		{ "http://a.localhost/nacos", false },
		{ "http://notlocalhost", true },
		{ "http://localhost.example", true },
		{ "http://127.0.0.1.example", true },
		{ "http://127.0.0.1@10.0.0.1:8848", true },
		{ "http://0.0.0.0:8848", true },
		{ "10.0.0.1:8848", true },
		{ "127.0.0.1:8848", false },
		{ "", true },
		{ "http://", true },
		{ "http://[::1", false },
		{ "httpsx://10.0.0.1", true },
	};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		cr_expect_eq(plaintext_exposes(urls[i].url), urls[i].exposes, "%s", urls[i].url);
}
