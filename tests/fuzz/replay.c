/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files: the main of the targets in builds without libFuzzer. So seeds and regressions
 * are also run with gcc's sanitizers, and the targets pass both compilers' warnings and clang-tidy.
 */
#include <err.h>

#include "fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)

static void replay(const char *path)
{
	static uint8_t bytes[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	size_t n;

	if (!file)
		err(1, "%s", path);
	n = fread(bytes, 1, sizeof(bytes), file);
	if (ferror(file))
		errx(1, "%s: cannot be read", path);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, n);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: %s FILE...", argv[0]);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%d inputs\n", argc - 1);
	return 0;
}
