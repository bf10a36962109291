/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON objects from clients
 *
 * jsmn cuts the text into tokens but is lenient: it lets a comma be missing or doubled and a key
 * stand alone. What clients send is judged as the official servers' parser judges it, so the
 * shape is checked once after parsing, every member being a string key with exactly one value,
 * and the walkers can then trust it. Tokens are counted first and allocated exactly.
 */
#include "jsonobj.h"

#include "sbuf.h"

#include <errno.h>
#define JSMN_PARENT_LINKS
#define JSMN_STATIC
#define JSMN_STRICT
#include <jsmn.h>
#include <stdlib.h>
#include <string.h>

static const jsmntok_t *token(const struct jsonobj *o, int i)
{
	return (const jsmntok_t *)o->tokens + i;
}

static char char_before_end(const struct jsonobj *o, const jsmntok_t *tok)
{
	int at = tok->end - 2;

	while (at > tok->start && strchr(" \t\r\n", o->text[at]))
		at--;
	return o->text[at];
}

static bool primitive_is_valid(const struct jsonobj *o, const jsmntok_t *tok)
{
	static const char *const words[] = { "true", "false", "null" };
	const char *s = o->text + tok->start;
	size_t n = (size_t)(tok->end - tok->start);

	for (size_t i = 0; i < 3; i++)
		if (n == strlen(words[i]) && memcmp(s, words[i], n) == 0)
			return true;
	return strchr("-0123456789", s[0]) && strspn(s, "-+.eE0123456789") >= n;
}

static bool shape_is_valid(const struct jsonobj *o)
{
	if (o->n_tokens < 1 || token(o, 0)->type != JSMN_OBJECT)
		return false;
	for (int i = 0; i < o->n_tokens; i++) {
		const jsmntok_t *tok = token(o, i);
		bool is_key = tok->parent >= 0 && token(o, tok->parent)->type == JSMN_OBJECT;
		bool is_container = tok->type == JSMN_OBJECT || tok->type == JSMN_ARRAY;

		if (is_key && (tok->type != JSMN_STRING || tok->size != 1))
			return false;
		if (!is_key && !is_container && tok->size != 0)
			return false;
		if (is_container && tok->size > 0 && char_before_end(o, tok) == ',')
			return false;
		if (tok->type == JSMN_PRIMITIVE && !primitive_is_valid(o, tok))
			return false;
		if (i > 0 && tok->start > token(o, 0)->end)
			return false;
	}
	return true;
}

int jsonobj_init(struct jsonobj *o, const char *text)
{
	jsmn_parser parser;
	size_t len = strlen(text);
	int n;

	*o = (struct jsonobj){ .text = text };
	jsmn_init(&parser);
	n = jsmn_parse(&parser, text, len, NULL, 0);
	if (n < 1)
		return JSONOBJ_BAD;
	o->tokens = calloc((size_t)n, sizeof(jsmntok_t));
	if (!o->tokens)
		return -ENOMEM;
	jsmn_init(&parser);
	o->n_tokens = jsmn_parse(&parser, text, len, o->tokens, (unsigned int)n);
	return o->n_tokens == n && shape_is_valid(o) ? 0 : JSONOBJ_BAD;
}

void jsonobj_deinit(struct jsonobj *o)
{
	free(o->tokens);
	*o = (struct jsonobj)JSONOBJ_NULL;
}

int jsonobj_first(const struct jsonobj *o, int object)
{
	return token(o, object)->size > 0 ? object + 1 : 0;
}

int jsonobj_next(const struct jsonobj *o, int object, int key)
{
	int end = token(o, key + 1)->end, next = key + 2;

	while (next < o->n_tokens && token(o, next)->start < end)
		next++;
	return next < o->n_tokens && token(o, next)->start < token(o, object)->end ? next : 0;
}

bool jsonobj_is_object(const struct jsonobj *o, int at)
{
	return token(o, at)->type == JSMN_OBJECT;
}

bool jsonobj_is_null(const struct jsonobj *o, int at)
{
	const jsmntok_t *tok = token(o, at);

	return tok->type == JSMN_PRIMITIVE && o->text[tok->start] == 'n';
}

bool jsonobj_key_is(const struct jsonobj *o, int key, const char *name)
{
	const jsmntok_t *tok = token(o, key);
	size_t n = (size_t)(tok->end - tok->start);

	return n == strlen(name) && memcmp(o->text + tok->start, name, n) == 0;
}

/* The four digits behind "\u"; jsmn has checked that they are there. */
static uint32_t hex4(const char *s)
{
	char digits[5];

	memcpy(digits, s, 4);
	digits[4] = '\0';
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* Appends the character that the escape at s (behind its backslash) stands for; returns the
 * escape's end. */
static const char *unescape(struct sbuf *b, const char *s, const char *end)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	const char *letter = strchr(letters, *s);
	uint32_t c, low;

	if (*s != 'u') {
		sbuf_bytes(b, letter ? &meanings[letter - letters] : s, 1);
		return s + 1;
	}
	c = hex4(s + 1);
	s += 5;
	if (c >= 0xd800 && c < 0xdc00 && end - s >= 6 && s[0] == '\\' && s[1] == 'u') {
		low = hex4(s + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			sbuf_char(b, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
			return s + 6;
		}
	}
	/* A lone surrogate and a NUL cannot be held in a C string of UTF-8. */
	sbuf_char(b, c == 0 || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c);
	return s;
}

char *jsonobj_text(const struct jsonobj *o, int at)
{
	const jsmntok_t *tok = token(o, at);
	const char *s = o->text + tok->start, *end = o->text + tok->end;
	struct sbuf b = SBUF_NULL;

	if (tok->type == JSMN_OBJECT || tok->type == JSMN_ARRAY || jsonobj_is_null(o, at))
		return NULL;
	sbuf_add(&b, "");
	while (s < end) {
		if (*s == '\\')
			s = unescape(&b, s + 1, end);
		else
			sbuf_bytes(&b, s++, 1);
	}
	if (b.failed)
		sbuf_deinit(&b);
	return b.data;
}

char *jsonobj_raw(const struct jsonobj *o, int at)
{
	const jsmntok_t *tok = token(o, at);

	return strndup(o->text + tok->start, (size_t)(tok->end - tok->start));
}
