/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON for tools
 *
 * Texts come from clients and servers, so every one is escaped, and what is not UTF-8 is replaced: one bad
 * service name must not make the whole list unreadable.
 */
#include "control/json_out.h"

#include <stddef.h>
#include <stdint.h>

/* Length of the valid UTF-8 sequence at p; 0 when it is not one. */
static size_t sequence(const unsigned char *p)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80       ? 1
		   : p[0] >> 5 == 6  ? 2
		   : p[0] >> 4 == 14 ? 3
		   : p[0] >> 3 == 30 ? 4
				     : 0;
	uint32_t c;

	if (n < 2)
		return n;
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

void json_out_string(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	fputc('"', out);
	while (*p) {
		size_t n = sequence(p);

		if (n == 0) {
			fputs("\xef\xbf\xbd", out);
			n = 1;
		} else if (*p == '"' || *p == '\\') {
			fprintf(out, "\\%c", *p);
		} else if (*p < 0x20 || *p == 0x7f) {
			fprintf(out, "\\u%04x", *p);
		} else {
			fwrite(p, 1, n, out);
		}
		p += n;
	}
	fputc('"', out);
}

void json_out_member(FILE *out, const char *name, const char *text, int first)
{
	fprintf(out, "%s\"%s\":", first ? "" : ",", name);
	json_out_string(out, text);
}
