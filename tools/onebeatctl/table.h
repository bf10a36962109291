/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEATCTL_TABLE_H
#define ONEBEATCTL_TABLE_H

#include <stddef.h>

#define TABLE_COLUMNS 8

/* Rows of text, printed in columns as wide as their widest cell. */
struct table {
	char **cells; /* n_rows * n_columns, malloc'ed each */
	size_t n_rows;
	size_t n_columns;
};

void table_init(struct table *t, size_t n_columns);
/* Copies n_columns texts. Ends the program when memory is out. */
void table_add(struct table *t, const char *const *cells);
void table_print(const struct table *t);
void table_deinit(struct table *t);

#endif
