/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters in a query or a form body
 *
 * Both have the same encoding and mean the same, the query's first. The text is decoded where it
 * stands: decoding never lengthens. A parameter with a broken percent escape, or with a NUL that
 * a C string cannot hold, counts as not sent, which is what the official servers' container does
 * with the former.
 */
#include "formdata.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool decode(char *text)
{
	char *out = text;
	int high, low;

	for (const char *in = text; *in; in++) {
		if (*in != '%') {
			*out++ = *in == '+' ? ' ' : *in;
			continue;
		}
		high = hex_digit(in[1]);
		low = high < 0 ? -1 : hex_digit(in[2]);
		if (low < 0 || high + low == 0)
			return false;
		*out++ = (char)(high << 4 | low);
		in += 2;
	}
	*out = '\0';
	return true;
}

static int push(struct formdata *f, const char *name, char *value)
{
	size_t size = f->size ? f->size * 2 : 16;
	struct formdata_pair *pairs;

	if (f->n_pairs == f->size) {
		pairs = reallocarray(f->pairs, size, sizeof(*pairs));
		if (!pairs)
			return -ENOMEM;
		f->pairs = pairs;
		f->size = size;
	}
	f->pairs[f->n_pairs++] = (struct formdata_pair){ .name = name, .value = value };
	return 0;
}

int formdata_parse(struct formdata *f, char *text)
{
	char *name, *value;
	int r = 0;

	while (r == 0 && (name = strsep(&text, "&")) != NULL) {
		value = strchrnul(name, '=');
		if (*value)
			*value++ = '\0';
		if (*name && decode(name) && decode(value))
			r = push(f, name, value);
	}
	return r;
}

void formdata_deinit(struct formdata *f)
{
	free(f->pairs);
	*f = (struct formdata)FORMDATA_NULL;
}

static char *find(const struct formdata *f, const char *name)
{
	for (size_t i = 0; i < f->n_pairs; i++)
		if (strcmp(f->pairs[i].name, name) == 0)
			return f->pairs[i].value;
	return NULL;
}

const char *formdata_raw(const struct formdata *f, const char *name)
{
	return find(f, name);
}

static bool is_space(char c)
{
	return (unsigned char)c <= ' ';
}

const char *formdata_get(const struct formdata *f, const char *name)
{
	char *value = find(f, name);
	size_t len;

	if (!value)
		return NULL;
	while (*value && is_space(*value))
		value++;
	len = strlen(value);
	while (len && is_space(value[len - 1]))
		value[--len] = '\0';
	return len ? value : NULL;
}

const char *formdata_or(const struct formdata *f, const char *name, const char *fallback)
{
	const char *value = formdata_get(f, name);

	return value ? value : fallback;
}

bool formdata_number(const struct formdata *f, const char *name, long min, long max, long usual,
		     long *out)
{
	const char *value = formdata_get(f, name);
	size_t n = value ? strspn(value, "0123456789") : 0;

	*out = usual;
	if (!value)
		return true;
	if (!n || n > 9 || value[n])
		return false;
	*out = strtol(value, NULL, 10);
	return *out >= min && *out <= max;
}
