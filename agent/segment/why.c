/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sentences of refusal
 *
 * They end in a log line, in a status line that the client shows to its user, and in an operator's table:
 * one length for all, always whole, and nothing in them that could move a cursor.
 */
#include "segment/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 40
#define CUT_MARK "..."

int why_plain(char why[WHY_MAX], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, WHY_MAX, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* Bytes of the value that a sentence with this field and rule has room for. */
static size_t room(const char *field, const char *rule)
{
	size_t taken = strlen(field) + strlen(rule) + sizeof(" \"\" ");
	size_t left = taken < WHY_MAX ? WHY_MAX - taken : 0;

	return left < SHOWN_MAX ? left : SHOWN_MAX;
}

int why_value(char why[WHY_MAX], const char *field, const void *value, size_t length,
	      const char *rule)
{
	const size_t max = room(field, rule);
	const unsigned char *bytes = value;
	char shown[SHOWN_MAX + 1];
	size_t n = 0;

	while (n < length && n < max) {
		shown[n] = (char)(bytes[n] >= 0x20 && bytes[n] < 0x7f ? bytes[n] : '?');
		n++;
	}
	if (n < length && n >= strlen(CUT_MARK))
		memcpy(shown + n - strlen(CUT_MARK), CUT_MARK, strlen(CUT_MARK));
	shown[n] = '\0';
	return why_plain(why, "%s \"%s\" %s", field, shown, rule);
}
