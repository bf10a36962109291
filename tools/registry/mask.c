/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in request targets
 *
 * A name may be percent-encoded and is then a secret's all the same, so it is decoded for the
 * comparison; the target itself is shown as it was sent.
 */
#include "mask.h"

#include "formdata.h"
#include "sbuf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Without memory everything is a secret. */
static bool is_secret(const char *name, size_t n)
{
	static const char *const secrets[] = { "accessToken", "password", "signature" };
	struct formdata f = FORMDATA_NULL;
	char *copy = strndup(name, n);
	bool found = !copy || formdata_parse(&f, copy) != 0;

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]) && !found; i++)
		found = f.n_pairs && strcmp(f.pairs[0].name, secrets[i]) == 0;
	formdata_deinit(&f);
	free(copy);
	return found;
}

void mask_target(struct sbuf *b, const char *target)
{
	const char *at = strchrnul(target, '?');

	sbuf_bytes(b, target, (size_t)(at - target));
	while (*at) {
		size_t n = 1 + strcspn(at + 1, "&"), n_name = strcspn(at + 1, "=&");
		bool masked = at[1 + n_name] == '=' && is_secret(at + 1, n_name);

		sbuf_bytes(b, at, masked ? n_name + 2 : n);
		if (masked)
			sbuf_add(b, "***");
		at += n;
	}
}
