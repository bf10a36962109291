/* SPDX-License-Identifier: Apache-2.0 */
/* expect: clang-analyzer-unix.MallocSizeof */
#include <stdlib.h>

struct item {
	int numbers[4];
};

struct item *makes_too_little(void)
{
	struct item *item = malloc(sizeof(item));

	return item;
}
