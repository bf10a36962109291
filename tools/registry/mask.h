/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_MASK_H
#define REGISTRY_MASK_H

struct sbuf;

/* Appends a request target as a log may show it: values of secret parameters read ***. */
void mask_target(struct sbuf *b, const char *target);

#endif
