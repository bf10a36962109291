/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles clean as it is; with one CASE_ defined it must be refused by gcc and by clang, each naming the
 * flag (a regular expression) in the comment beside it.
 */
#include <stddef.h>
#include <stdio.h>

int warnings_main(int n, const char *text, unsigned u, long l);

#ifdef CASE_ALL /* gcc: unused-function clang: unused-function */
static int nobody_calls_me(void)
{
	return 1;
}
#endif

#ifdef CASE_MISSING_PROTOTYPES /* gcc: missing-prototypes clang: missing-prototypes */
int no_prototype(int n)
{
	return n;
}
#endif

#ifdef CASE_STRICT_PROTOTYPES /* gcc: strict-prototypes clang: strict-prototypes */
int takes_anything();
#endif

#ifdef CASE_UNDEF /* gcc: undef clang: undef */
#if NOT_DEFINED_ANYWHERE
#endif
#endif

#ifdef CASE_EXTRA /* gcc: unused-parameter clang: unused-parameter */
static inline void ignores(int n)
{
}
#endif

#ifdef CASE_WRITE_STRINGS /* gcc: discarded-qualifiers clang: discards-qualifiers */
char *writable = "literal";
#endif

int warnings_main(int n, const char *text, unsigned u, long l)
{
	int result = 0;

#ifdef CASE_SHADOW /* gcc: shadow clang: shadow */
	{
		int result = n;
		(void)result;
	}
#endif
#ifdef CASE_CONVERSION /* gcc: conversion clang: shorten-64-to-32|implicit-int-conversion */
	result = l;
#endif
#ifdef CASE_SIGN_CONVERSION /* gcc: sign-conversion clang: sign-conversion */
	result = u;
#endif
#ifdef CASE_FORMAT /* gcc: format-nonliteral clang: format-nonliteral */
	printf(text, n);
#endif
#ifdef CASE_VLA /* gcc: vla clang: vla */
	char buffer[n];
	buffer[0] = text[0];
	result = buffer[0];
#endif
#ifdef CASE_POINTER_ARITH /* gcc: pointer-arith clang: pointer-arith */
	const void *p = text;
	text = p + 1;
#endif
#ifdef CASE_CAST_QUAL /* gcc: cast-qual clang: cast-qual */
	((char *)text)[0] = 'x';
#endif
#ifdef CASE_FALLTHROUGH /* gcc: implicit-fallthrough clang: implicit-fallthrough */
	switch (n) {
	case 1:
		result = 2;
	case 2:
		result += 3;
	}
#endif
	return result + n + text[0] + (int)u + (int)l;
}
