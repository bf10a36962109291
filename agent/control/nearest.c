/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean"
 *
 * Distance is the number of letters added, left out, changed or swapped with their neighbour, upper
 * and lower case being the same. A word is near when that is at most two, and fewer than half of
 * its letters: a wrong guess is worse than none.
 */
#include "control/nearest.h"

#include <string.h>

#define NEAREST_WORD_MAX 48
#define NEAREST_DISTANCE_MAX 2u

static unsigned int min2(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/*
 * Rows of the usual table: [0] is being filled, [1] and [2] are the one and two letters of a
 * before.
 */
static void fill_row(unsigned int rows[3][NEAREST_WORD_MAX + 1], const char *a, size_t i,
		     const char *b, size_t n_b)
{
	rows[0][0] = (unsigned int)i;
	for (size_t j = 1; j <= n_b; j++) {
		char x = lower(a[i - 1]);
		char y = lower(b[j - 1]);

		rows[0][j] = min2(min2(rows[0][j - 1], rows[1][j]) + 1, rows[1][j - 1] + (x != y));
		if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
			rows[0][j] = min2(rows[0][j], rows[2][j - 2] + 1);
	}
}

static unsigned int distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned int rows[3][NEAREST_WORD_MAX + 1] = { 0 };

	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n_a; i++) {
		memcpy(rows[2], rows[1], sizeof(rows[1]));
		memcpy(rows[1], rows[0], sizeof(rows[0]));
		fill_row(rows, a, i, b, n_b);
	}
	return rows[0][n_b];
}

const char *nearest_word(const char *word, const char *const *known, size_t n_known)
{
	unsigned int best = NEAREST_DISTANCE_MAX + 1;
	const char *nearest = NULL;
	size_t n = strlen(word);

	for (size_t i = 0; i < n_known && n <= NEAREST_WORD_MAX; i++) {
		size_t n_i = strlen(known[i]);
		unsigned int d;

		if (n_i > NEAREST_WORD_MAX)
			continue;
		d = distance(word, n, known[i], n_i);
		if (d < best && d * 2 < n_i) {
			best = d;
			nearest = known[i];
		}
	}
	return nearest;
}
