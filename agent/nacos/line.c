/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One printable line out of any bytes
 *
 * What a server says goes into status lines, logs and terminals. So whatever it sent, this gives
 * valid UTF-8 without control characters: C0, DEL and C1 (which terminals obey too) are dropped, a
 * tab counts as a blank, and a byte that belongs to no character becomes '?'.
 */
#include "nacos/line.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the character at p, of which n are there; 0 when it is none. *c is its number. */
static size_t decode_utf8(const char *p, size_t n, uint32_t *c)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *u = (const unsigned char *)p;
	size_t n_bytes = u[0] < 0x80 ? 1 : u[0] < 0xc0 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

	if (n_bytes == 0 || n_bytes > n || u[0] > 0xf4)
		return 0;
	*c = n_bytes == 1 ? u[0] : u[0] & (0x7fu >> n_bytes);
	for (size_t i = 1; i < n_bytes; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (u[i] & 0x3f);
	}
	if (*c < smallest[n_bytes] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return n_bytes;
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static size_t trim_end(const char *buf, size_t n)
{
	while (n > 0 && buf[n - 1] == ' ')
		n--;
	return n;
}

size_t line_first(const char *bytes, size_t n, char *buf, size_t size)
{
	size_t used = 0;
	size_t step;

	for (size_t i = 0; i < n; i += step) {
		const char *show = bytes + i;
		uint32_t c = '?';
		size_t width;

		width = decode_utf8(show, n - i, &c);
		step = width > 0 ? width : 1;
		if (width == 0 || c == '\t') {
			show = width == 0 ? "?" : " ";
			c = (unsigned char)*show;
			width = 1;
		}
		if (used > 0 && (c == '\n' || c == '\r'))
			break;
		if (is_control(c) || (used == 0 && c == ' '))
			continue;
		if (width >= size - used)
			break;
		memcpy(buf + used, show, width);
		used += width;
	}
	used = trim_end(buf, used);
	buf[used] = '\0';
	return used;
}
