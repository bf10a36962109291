/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_LINE_H
#define NACOS_LINE_H

#include <stddef.h>

/*
 * The first line of bytes that has something to show, as valid UTF-8 without control characters,
 * cut between characters to fit buf (size > 0). Returns its length; 0, and an empty buf, when there
 * is none.
 */
size_t line_first(const char *bytes, size_t n, char *buf, size_t size);

#endif
