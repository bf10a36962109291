/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/*
 * What the fuzz targets share. A target is one LLVMFuzzerTestOneInput(): libFuzzer calls it in the fuzzing
 * build, replay.c in every other one. "It did not crash" is the least of what a target claims; the rest it
 * says with FUZZ_CHECK.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(claim)                                                                          \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #claim); \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The bytes in an allocation of just their size, so that AddressSanitizer sees a read behind them. */
static inline void *fuzz_copy(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	FUZZ_CHECK(copy);
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

/* Input, eaten from its front; zeros when it has run out. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline void fuzz_take(struct fuzz_input *in, void *out, size_t n)
{
	size_t there = n < in->left ? n : in->left;

	memset(out, 0, n);
	if (there > 0)
		memcpy(out, in->at, there);
	in->at += there;
	in->left -= there;
}

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	uint8_t byte;

	fuzz_take(in, &byte, sizeof(byte));
	return byte;
}

static inline uint32_t fuzz_word(struct fuzz_input *in)
{
	uint32_t word;

	fuzz_take(in, &word, sizeof(word));
	return word;
}

/* One line that may be shown to people: UTF-8 or ASCII, not a control character in it. */
static inline bool fuzz_is_line(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return false;
	}
	return true;
}

#endif
