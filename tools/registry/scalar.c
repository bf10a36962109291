/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and booleans
 *
 * Clients written against an official server get away with what Java's parsers let pass, and
 * fail where those fail. So do they here: no white space inside, no hexadecimal, NaN spelled
 * exactly so, a trailing d or f on a double.
 */
#include "scalar.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool scalar_int(const char *text, int *out)
{
	const char *digits = text + (*text == '-' || *text == '+');
	long value;

	if (!*digits || digits[strspn(digits, "0123456789")] != '\0')
		return false;
	errno = 0;
	value = strtol(text, NULL, 10);
	if (errno || value < INT32_MIN || value > INT32_MAX)
		return false;
	*out = (int)value;
	return true;
}

bool scalar_double(const char *text, double *out)
{
	const char *word = text + (*text == '-' || *text == '+');
	double value;
	char *end;

	if (strcmp(word, "NaN") == 0 || strcmp(word, "Infinity") == 0) {
		value = *word == 'N' ? NAN : INFINITY;
		*out = *text == '-' ? -value : value;
		return true;
	}
	if (text[strspn(text, "0123456789+-.eEdDfF")] != '\0')
		return false;
	value = strtod(text, &end);
	if (end == text || (*end && (!strchr("dDfF", *end) || end[1])))
		return false;
	*out = value;
	return true;
}

bool scalar_bool(const char *text)
{
	static const char *const words[] = { "true", "on", "yes", "y", "t" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

bool scalar_strict_bool(const char *text, bool *out)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "true", true },   { "on", true },   { "yes", true }, { "1", true },
		{ "false", false }, { "off", false }, { "no", false }, { "0", false },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*out = words[i].value;
			return true;
		}
	}
	return false;
}
