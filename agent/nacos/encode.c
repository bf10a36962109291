/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding of what a request carries
 *
 * A request is syntax of ours (plain) and values of the client's (encoded). Values are encoded byte
 * by byte as they are written, so that JSON inside a query needs no buffer of its own: the JSON
 * writer's output passes through the same gate. Whoever writes looks at the result once, at the
 * end: a writer that is full swallows the rest.
 *
 * Numbers are made without the locale's help: printf is asked for %e, and only the digits of its
 * answer are taken, whatever stands between them.
 */
#include "nacos/encode.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 17 significant digits tell any two doubles apart. */
#define DIGITS_MAX 17

void encode_init(struct encode *e, enum encode_mode mode, char *buf, size_t size)
{
	*e = (struct encode){ .buf = buf, .size = size, .mode = mode };
}

size_t encode_end(struct encode *e)
{
	if (e->full || e->n >= e->size) {
		if (e->size > 0)
			e->buf[0] = '\0';
		return 0;
	}
	e->buf[e->n] = '\0';
	return e->n;
}

/* All or nothing, and one byte is always left for the NUL. */
static void put(struct encode *e, const char *bytes, size_t n)
{
	if (e->full || n >= e->size - e->n) {
		e->full = true;
		return;
	}
	memcpy(e->buf + e->n, bytes, n);
	e->n += n;
}

static bool is_alnum(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The two sets differ in one mark each: a form keeps '*', as browsers and Java do, a query '~'. */
static bool stays(enum encode_mode mode, unsigned char c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_' ||
	       c == (mode == ENCODE_QUERY ? '~' : '*');
}

static void put_encoded(struct encode *e, char c)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char byte = (unsigned char)c;

	if (stays(e->mode, byte))
		put(e, &c, 1);
	else if (c == ' ' && e->mode == ENCODE_FORM)
		put(e, "+", 1);
	else
		put(e, (char[]){ '%', hex[byte >> 4], hex[byte & 15] }, 3);
}

static void put_encoded_n(struct encode *e, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_encoded(e, bytes[i]);
}

void encode_plain(struct encode *e, const char *text)
{
	put(e, text, strlen(text));
}

void encode_text(struct encode *e, const char *text)
{
	put_encoded_n(e, text, strlen(text));
}

void encode_uint(struct encode *e, uint32_t value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	encode_text(e, text);
}

/*
 * Takes "d<point>ddde<sign>dd" apart. Returns the number of digits; *exponent is the power of ten
 * of the first one.
 */
static size_t scan_digits(const char *text, char digits[DIGITS_MAX], int *exponent)
{
	const char *p = text;
	size_t n = 0;

	for (; *p && *p != 'e'; p++) {
		if (*p >= '0' && *p <= '9' && n < DIGITS_MAX)
			digits[n++] = *p;
	}
	*exponent = *p ? (int)strtol(p + 1, NULL, 10) : 0;
	return n;
}

static size_t shortest_digits(double value, char digits[DIGITS_MAX], int *exponent)
{
	char text[48];

	for (int precision = 0; precision < DIGITS_MAX; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, value);
		if (strtod(text, NULL) >= value && strtod(text, NULL) <= value)
			break;
	}
	return scan_digits(text, digits, exponent);
}

/*
 * Digits with the point after the first n_whole of them; zeros where there are none, one decimal at
 * least.
 */
static void put_decimal(struct encode *e, const char *digits, size_t n, int n_whole)
{
	if (n_whole <= 0)
		put_encoded(e, '0');
	for (int i = 0; i < n_whole; i++)
		put_encoded(e, (size_t)i < n ? digits[i] : '0');
	put_encoded(e, '.');
	for (int i = n_whole; i < 0; i++)
		put_encoded(e, '0');
	if (n_whole > 0 && (size_t)n_whole >= n)
		put_encoded(e, '0');
	for (size_t i = n_whole > 0 ? (size_t)n_whole : 0; i < n; i++)
		put_encoded(e, digits[i]);
}

void encode_double(struct encode *e, double value)
{
	char digits[DIGITS_MAX];
	char tail[16];
	int exponent;
	size_t n;

	assert(isfinite(value));
	if (value < 0) /* not by the sign bit: -0.0 is nobody's intention */
		put_encoded(e, '-');
	n = shortest_digits(fabs(value), digits, &exponent);
	if (exponent >= -3 && exponent < 7) {
		put_decimal(e, digits, n, exponent + 1);
		return;
	}
	put_decimal(e, digits, n, 1);
	snprintf(tail, sizeof(tail), "E%d", exponent);
	encode_text(e, tail);
}

/* A byte that JSON does not take as it is. */
static void put_json_escape(struct encode *e, char c)
{
	char escape[8];
	int n;

	if (c == '"' || c == '\\')
		n = snprintf(escape, sizeof(escape), "\\%c", c);
	else
		n = snprintf(escape, sizeof(escape), "\\u%04x", (unsigned int)(unsigned char)c);
	put_encoded_n(e, escape, (size_t)n);
}

void encode_json_chars(struct encode *e, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\' || (unsigned char)*p < 0x20)
			put_json_escape(e, *p);
		else
			put_encoded(e, *p);
	}
}

void encode_json_string(struct encode *e, const char *text)
{
	put_encoded(e, '"');
	encode_json_chars(e, text);
	put_encoded(e, '"');
}
