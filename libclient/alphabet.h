/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_ALPHABET_H
#define ONEBEAT_ALPHABET_H

#include <stdbool.h>
#include <string.h>

/* A letter, a digit or one of marks; not a NUL. Not isalnum(): the program's locale has no say. */
static inline bool alphabet_has(char c, const char *marks)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(marks, c));
}

#endif
