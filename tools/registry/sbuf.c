/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing text
 *
 * Replies, pages and log lines are written piece by piece into one of these. Running out of
 * memory is remembered rather than reported piece by piece: who sends the text looks at `failed`
 * once. The escapers live here because escaping is what makes foreign text safe to append.
 */
#include "sbuf.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sbuf_deinit(struct sbuf *b)
{
	free(b->data);
	*b = (struct sbuf)SBUF_NULL;
}

/* Makes room for n more bytes and the NUL. */
static bool reserve(struct sbuf *b, size_t n)
{
	size_t want = b->len + n + 1, size = b->size ? b->size : 128;
	char *data;

	if (b->failed || want < n)
		return false;
	if (want <= b->size)
		return true;
	while (size < want)
		size *= 2;
	data = realloc(b->data, size);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->size = size;
	return true;
}

void sbuf_bytes(struct sbuf *b, const void *bytes, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void sbuf_add(struct sbuf *b, const char *text)
{
	sbuf_bytes(b, text, strlen(text));
}

void sbuf_fmt(struct sbuf *b, const char *fmt, ...)
{
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	if (n >= 0 && reserve(b, (size_t)n)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(args);
}

uint32_t sbuf_next_char(const char **text)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)*text;
	unsigned int more = s[0] < 0x80 ? 0 : s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : 1;
	uint32_t c = more ? s[0] & (0x3fu >> more) : s[0];

	*text += s[0] != '\0';
	if (more && (s[0] < 0xc2 || s[0] > 0xf4))
		return 0xfffd;
	for (unsigned int i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0xfffd;
	*text += more;
	return c;
}

void sbuf_char(struct sbuf *b, uint32_t c)
{
	unsigned int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	unsigned char out[4];

	for (unsigned int i = more; i > 0; i--, c >>= 6)
		out[i] = (unsigned char)(0x80 | (c & 0x3f));
	out[0] = (unsigned char)(more ? (0xf00u >> (more + 1) & 0xf0) | c : c);
	sbuf_bytes(b, out, more + 1);
}

size_t sbuf_java_length(const char *text)
{
	size_t n = 0;
	uint32_t c;

	while ((c = sbuf_next_char(&text)) != 0)
		n += c >= 0x10000 ? 2 : 1;
	return n;
}

void sbuf_json(struct sbuf *b, const char *text)
{
	uint32_t c;

	sbuf_add(b, "\"");
	while ((c = sbuf_next_char(&text)) != 0) {
		if (c == '"' || c == '\\')
			sbuf_fmt(b, "\\%c", (char)c);
		else if (c == '\n')
			sbuf_add(b, "\\n");
		else if (c < 0x20)
			sbuf_fmt(b, "\\u%04x", c);
		else
			sbuf_char(b, c);
	}
	sbuf_add(b, "\"");
}

void sbuf_html(struct sbuf *b, const char *text)
{
	uint32_t c;

	while ((c = sbuf_next_char(&text)) != 0) {
		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'' || c < 0x20)
			sbuf_fmt(b, "&#%u;", c < 0x20 ? 0xfffd : c);
		else
			sbuf_char(b, c);
	}
}

void sbuf_double(struct sbuf *b, double value)
{
	char text[32];

	if (!isfinite(value)) {
		sbuf_add(b, "\"NaN\"");
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	if (strchr(text, 'e'))
		snprintf(text, sizeof(text), "%.1f", value);
	sbuf_add(b, text);
	if (!strchr(text, '.'))
		sbuf_add(b, ".0");
}
