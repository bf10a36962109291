/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_SBUF_H
#define REGISTRY_SBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sbuf {
	char *data; /* NUL-terminated, or NULL while empty */
	size_t len;
	size_t size;
	bool failed; /* memory ran out: the content is incomplete */
};
#define SBUF_NULL            \
	{                    \
		.data = NULL \
	}

void sbuf_deinit(struct sbuf *b);
void sbuf_add(struct sbuf *b, const char *text);
void sbuf_bytes(struct sbuf *b, const void *bytes, size_t n);
void sbuf_fmt(struct sbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void sbuf_json(struct sbuf *b, const char *text);
/* Text that is safe in an HTML element or a quoted attribute. */
void sbuf_html(struct sbuf *b, const char *text);
/* A number as Java prints a double: at least one decimal, shortest that reads back. */
void sbuf_double(struct sbuf *b, double value);

/* Takes one character off *text: its code point, U+FFFD for a bad byte, 0 at the end. */
uint32_t sbuf_next_char(const char **text);
void sbuf_char(struct sbuf *b, uint32_t code_point);
/* Length as Java counts it, in UTF-16 units. */
size_t sbuf_java_length(const char *text);

#endif
