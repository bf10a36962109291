/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_ENCODE_H
#define NACOS_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum encode_mode {
	ENCODE_QUERY, /* RFC 3986: unreserved stay, all else %XX */
	ENCODE_FORM   /* application/x-www-form-urlencoded: a blank is '+' */
};

/* A text growing in a caller's buffer. Once something did not fit it is full, and stays so. */
struct encode {
	char *buf;
	size_t size;
	size_t n;
	enum encode_mode mode;
	bool full;
};

void encode_init(struct encode *e, enum encode_mode mode, char *buf, size_t size);
/* Ends the text. Its length without the NUL; 0, and an empty text, when it did not fit. */
size_t encode_end(struct encode *e);

/* As it stands: the syntax between the values. */
void encode_plain(struct encode *e, const char *text);

/* The rest passes the mode's encoding. */
void encode_text(struct encode *e, const char *text);
void encode_uint(struct encode *e, uint32_t value);
/*
 * The shortest text that reads back as value, which is finite; forms of Java's Double: 1.0, 0.25,
 * 1.0E-4.
 */
void encode_double(struct encode *e, double value);
/* text is UTF-8; escaped as inside a JSON string, without the quotes around it. */
void encode_json_chars(struct encode *e, const char *text);
/* The same with the quotes. */
void encode_json_string(struct encode *e, const char *text);

#endif
