/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_PLAINTEXT_H
#define HTTP_PLAINTEXT_H

#include <stdbool.h>
#include <stdint.h>

#define PLAINTEXT_WHY_MAX 512u

/* Does what is sent to this URL cross a network unencrypted: any but https:, unless to this host itself? */
bool plaintext_exposes(const char *url);

/*
 * May a password be sent to these? 0, always when allowed (allow_plaintext_password); else -EPERM, and a
 * sentence that names the first URL to which it may not, and the rule.
 */
int plaintext_check(const char *const *urls, uint32_t n_urls, bool allowed,
		    char why[PLAINTEXT_WHY_MAX]);

#endif
