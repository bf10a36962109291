/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aligned tables for people: two blanks between columns, none behind the last. Control characters are shown as
 * '?', because texts come from other programs and a terminal believes them.
 */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (p)
		return p;
	fputs("onebeatctl: out of memory\n", stderr);
	exit(1);
}

void table_init(struct table *t, size_t n_columns)
{
	*t = (struct table){ .n_columns = n_columns };
}

void table_add(struct table *t, const char *const *cells)
{
	t->cells = must(reallocarray(t->cells, (t->n_rows + 1) * t->n_columns, sizeof(*t->cells)));
	for (size_t i = 0; i < t->n_columns; i++) {
		char *copy = must(strdup(cells[i]));

		for (char *p = copy; *p; p++) {
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				*p = '?';
		}
		t->cells[t->n_rows * t->n_columns + i] = copy;
	}
	t->n_rows++;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t widest = 0;

	for (size_t row = 0; row < t->n_rows; row++) {
		size_t w = width(t->cells[row * t->n_columns + column]);

		widest = w > widest ? w : widest;
	}
	return widest;
}

void table_print(const struct table *t)
{
	size_t widths[TABLE_COLUMNS];

	for (size_t i = 0; i < t->n_columns; i++)
		widths[i] = column_width(t, i);
	for (size_t row = 0; row < t->n_rows; row++) {
		for (size_t i = 0; i < t->n_columns; i++) {
			const char *cell = t->cells[row * t->n_columns + i];
			size_t pad = i + 1 < t->n_columns ? widths[i] - width(cell) + 2 : 0;

			printf("%s%*s", cell, (int)pad, "");
		}
		putchar('\n');
	}
}

void table_deinit(struct table *t)
{
	for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){ 0 };
}
