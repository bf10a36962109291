/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the agent's JSON lines, by jsmn
 *
 * The agent writes what we read; but what answers on its socket may be something else. jsmn is lenient about what
 * stands between tokens, so the tree that it found is checked before anybody walks it: one value, and in an
 * object nothing but names with one value each. Objects are small; members are found by walking.
 */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

static const jsmntok_t *token(const struct json *doc, int value)
{
	return value >= 0 && value < doc->n_tokens ? (const jsmntok_t *)doc->tokens + value : NULL;
}

/* Is token i in its place? A name has its value right behind it; strings and primitives else have no children. */
static bool in_place(const struct json *doc, int i)
{
	const jsmntok_t *t = token(doc, i);
	const jsmntok_t *parent = token(doc, t->parent);

	if ((parent == NULL) != (i == 0))
		return false;
	if (parent && parent->type == JSMN_OBJECT)
		return t->type == JSMN_STRING && t->size == 1;
	return t->type == JSMN_OBJECT || t->type == JSMN_ARRAY || t->size == 0;
}

static bool is_sound(const struct json *doc)
{
	for (int i = 0; i < doc->n_tokens; i++) {
		if (!in_place(doc, i))
			return false;
	}
	return true;
}

bool json_parse(struct json *doc, const char *line, size_t n)
{
	jsmn_parser parser;
	int count;

	*doc = (struct json){ .line = line };
	jsmn_init(&parser);
	count = jsmn_parse(&parser, line, n, NULL, 0);
	if (count <= 0)
		return false;
	doc->tokens = calloc((size_t)count, sizeof(jsmntok_t));
	if (!doc->tokens)
		return false;
	jsmn_init(&parser);
	doc->n_tokens = jsmn_parse(&parser, line, n, doc->tokens, (unsigned int)count);
	if (doc->n_tokens == count && is_sound(doc))
		return true;
	json_free(doc);
	return false;
}

void json_free(struct json *doc)
{
	free(doc->tokens);
	*doc = (struct json){ 0 };
}

/* The number behind value and all that is nested in it. */
static int behind(const struct json *doc, int value)
{
	int end = token(doc, value)->end;
	int i = value + 1;

	while (i < doc->n_tokens && token(doc, i)->start < end)
		i++;
	return i;
}

static bool is_type(const struct json *doc, int value, jsmntype_t type)
{
	const jsmntok_t *t = token(doc, value);

	return t && t->type == type;
}

int json_size(const struct json *doc, int value)
{
	const jsmntok_t *t = token(doc, value);

	return t ? t->size : 0;
}

int json_element(const struct json *doc, int array, int index)
{
	int at = array + 1;

	if (!is_type(doc, array, JSMN_ARRAY) || index < 0 || index >= json_size(doc, array))
		return -1;
	while (index-- > 0)
		at = behind(doc, at);
	return at;
}

int json_member_at(const struct json *doc, int object, int index, char *name, size_t size)
{
	int at = object + 1;

	if (!is_type(doc, object, JSMN_OBJECT) || index < 0 || index >= json_size(doc, object))
		return -1;
	while (index-- > 0)
		at = behind(doc, at + 1);
	json_text(doc, at, name, size);
	return at + 1;
}

int json_member(const struct json *doc, int object, const char *name)
{
	char found[64];

	for (int i = 0; i < json_size(doc, object); i++) {
		int value = json_member_at(doc, object, i, found, sizeof(found));

		if (value >= 0 && strcmp(found, name) == 0)
			return value;
	}
	return -1;
}

/* The agent escapes quote, backslash and control characters, the last as \u00XX. */
static char unescape(const char **p)
{
	char digits[5] = "";

	if (**p != 'u')
		return *(*p)++;
	strncpy(digits, *p + 1, 4);
	*p += 5;
	return (char)strtol(digits, NULL, 16);
}

bool json_text(const struct json *doc, int value, char *buf, size_t size)
{
	const jsmntok_t *t = token(doc, value);
	const char *p, *end;
	size_t n = 0;

	buf[0] = '\0';
	if (!t)
		return false;
	p = doc->line + t->start;
	end = doc->line + t->end;
	while (p < end && n + 1 < size) {
		if (t->type == JSMN_STRING && *p == '\\') {
			p++;
			buf[n++] = unescape(&p);
		} else {
			buf[n++] = *p++;
		}
	}
	buf[n] = '\0';
	return true;
}

double json_number(const struct json *doc, int value, double otherwise)
{
	char text[64];
	char *end;
	double number;

	if (!json_text(doc, value, text, sizeof(text)))
		return otherwise;
	number = strtod(text, &end);
	return end == text ? otherwise : number;
}
