/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_PLAINTEXT_H
#define HTTP_PLAINTEXT_H

#include <stdbool.h>

/* Does what is sent to this URL cross a network unencrypted: any but https:, unless to this host itself? */
bool plaintext_exposes(const char *url);

#endif
