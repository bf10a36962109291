/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON, a level at a time
 *
 * Most of what a registry answers with is one object whose interesting members are numbers and
 * strings. jsmn finds the tokens, in an array of fixed size, so that the work for a reply is bounded
 * whatever its bytes are. Lists of members have more parts; they come seldom, and get an array from
 * the heap, of a fixed size too. jsmn is lenient about what stands between tokens; so the tree that it
 * found is checked here: each child of the object is a string with exactly one value, and nothing
 * but blanks follows the object.
 */
#include "nacos/json.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

/* The longest recorded reply to our calls has 11. */
#define TOKENS_MAX 128u
/* 64 members of a cluster have about 100 each. */
#define TOKENS_ANY_MAX 16384u

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool all_blank(const char *text, size_t from, size_t n)
{
	while (from < n && is_blank(text[from]))
		from++;
	return from == n;
}

static struct json_value value_of(const char *text, const jsmntok_t *token)
{
	static const enum json_type types[] = {
		[JSMN_OBJECT] = JSON_NESTED,
		[JSMN_ARRAY] = JSON_NESTED,
		[JSMN_STRING] = JSON_STRING,
		[JSMN_PRIMITIVE] = JSON_PRIMITIVE,
	};

	return (struct json_value){
		.type = types[token->type],
		.at = text + token->start,
		.n = (size_t)(token->end - token->start),
	};
}

/* The value stands right behind its key, and whatever is nested in it behind that. */
static bool read_members(struct json_object *out, const char *text, const jsmntok_t *tokens,
			 int n_tokens)
{
	for (int i = 1; i < n_tokens; i++) {
		if (tokens[i].parent != 0)
			continue;
		if (out->n_members == JSON_MEMBERS_MAX || tokens[i].type != JSMN_STRING ||
		    tokens[i].size != 1 || i + 1 == n_tokens || tokens[i + 1].parent != i)
			return false;
		out->members[out->n_members].key = value_of(text, &tokens[i]);
		out->members[out->n_members].value = value_of(text, &tokens[i + 1]);
		out->n_members++;
	}
	return true;
}

/* The number of tokens of one whole value, with nothing behind it; 0 when it is none. */
static int parse(const char *text, size_t n, jsmntok_t *tokens, unsigned int max)
{
	jsmn_parser parser;
	int n_tokens;

	if (n == 0 || n > INT_MAX)
		return 0;
	jsmn_init(&parser);
	n_tokens = jsmn_parse(&parser, text, n, tokens, max);
	return n_tokens > 0 && all_blank(text, (size_t)tokens[0].end, n) ? n_tokens : 0;
}

static bool read_object(struct json_object *out, const char *text, size_t n, jsmntok_t *tokens,
			unsigned int max)
{
	int n_tokens = parse(text, n, tokens, max);

	out->n_members = 0;
	return n_tokens > 0 && tokens[0].type == JSMN_OBJECT &&
	       read_members(out, text, tokens, n_tokens);
}

bool json_object_read(struct json_object *out, const char *text, size_t n)
{
	jsmntok_t tokens[TOKENS_MAX];

	return read_object(out, text, n, tokens, TOKENS_MAX);
}

bool json_object_read_any(struct json_object *out, const char *text, size_t n)
{
	jsmntok_t *tokens = malloc(TOKENS_ANY_MAX * sizeof(*tokens));
	bool good;

	out->n_members = 0;
	good = tokens && read_object(out, text, n, tokens, TOKENS_ANY_MAX);
	free(tokens);
	return good;
}

static bool read_items(const char *text, const jsmntok_t *tokens, int n_tokens,
		       struct json_value *items, size_t max, size_t *n_items)
{
	for (int i = 1; i < n_tokens; i++) {
		if (tokens[i].parent != 0)
			continue;
		/* A string with a size is a key, which jsmn lets pass here. */
		if (*n_items == max || (tokens[i].type == JSMN_STRING && tokens[i].size > 0))
			return false;
		items[(*n_items)++] = value_of(text, &tokens[i]);
	}
	return true;
}

bool json_array_read(const struct json_value *array, struct json_value *items, size_t max,
		     size_t *n_items)
{
	jsmntok_t *tokens;
	int n_tokens;
	bool good;

	*n_items = 0;
	tokens = array->type == JSON_NESTED ? malloc(TOKENS_ANY_MAX * sizeof(*tokens)) : NULL;
	if (!tokens)
		return false;
	n_tokens = parse(array->at, array->n, tokens, TOKENS_ANY_MAX);
	good = n_tokens > 0 && tokens[0].type == JSMN_ARRAY &&
	       read_items(array->at, tokens, n_tokens, items, max, n_items);
	free(tokens);
	return good;
}

const struct json_value *json_object_find(const struct json_object *object, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = object->n_members; i > 0; i--) {
		const struct json_value *key = &object->members[i - 1].key;

		if (key->n == n && memcmp(key->at, name, n) == 0)
			return &object->members[i - 1].value;
	}
	return NULL;
}

bool json_value_integer(const struct json_value *value, long long *out)
{
	bool negative = value->n > 0 && value->at[0] == '-';
	size_t i = negative ? 1 : 0;
	long long sum = 0;

	if (value->type != JSON_PRIMITIVE || i == value->n || value->n - i > 18)
		return false;
	for (; i < value->n; i++) {
		if (value->at[i] < '0' || value->at[i] > '9')
			return false;
		sum = sum * 10 + (value->at[i] - '0');
	}
	*out = negative ? -sum : sum;
	return true;
}

/* Four hexadecimal digits, which jsmn has checked. */
static uint32_t hex4(const char *p)
{
	uint32_t sum = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];

		sum = sum << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return sum;
}

static size_t put_utf8(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* p stands on the 'u' of a \u escape, with n bytes there. Returns how many of them it takes. */
static size_t read_unicode(const char *p, size_t n, uint32_t *c)
{
	uint32_t low;

	*c = hex4(p + 1);
	if (*c < 0xd800 || *c > 0xdfff)
		return 5;
	if (*c < 0xdc00 && n >= 11 && p[5] == '\\' && p[6] == 'u') {
		low = hex4(p + 7);
		if (low >= 0xdc00 && low <= 0xdfff) {
			*c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
			return 11;
		}
	}
	*c = 0xfffd; /* half a pair is no character */
	return 5;
}

/* Undoes the escape behind a backslash. Returns how many of the n bytes at p it takes. */
static size_t read_escape(const char *p, size_t n, uint32_t *c)
{
	static const char from[] = "bfnrt";
	static const char to[] = "\b\f\n\r\t";
	const char *at = strchr(from, *p);

	if (*p == 'u' && n >= 5)
		return read_unicode(p, n, c);
	*c = (unsigned char)(at ? to[at - from] : *p);
	return 1;
}

size_t json_value_text(const struct json_value *value, char *buf, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < value->n;) {
		char bytes[4] = { value->at[i] };
		size_t n_bytes = 1;
		uint32_t c;

		if (value->at[i++] == '\\' && i < value->n) {
			i += read_escape(value->at + i, value->n - i, &c);
			n_bytes = put_utf8(c, bytes);
		}
		if (n_bytes > size - used)
			break;
		memcpy(buf + used, bytes, n_bytes);
		used += n_bytes;
	}
	return used;
}
