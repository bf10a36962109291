/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_WHY_H
#define SEGMENT_WHY_H

#include <stddef.h>

#define WHY_MAX 128

/*
 * Sentences that refuse something of a client's: `FIELD "VALUE" RULE`. The value is a stranger's, so what
 * is not printable ASCII shows as '?', and it is cut to leave room for the rule. Both return -EINVAL.
 */
int why_value(char why[WHY_MAX], const char *field, const void *value, size_t length,
	      const char *rule);
int why_plain(char why[WHY_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
