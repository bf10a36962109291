/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_MEMORY_SEARCH_H
#define TESTS_LIB_MEMORY_SEARCH_H

#include <stddef.h>

/* How often one text stands right before the other in this process's writable memory. */
size_t memory_search(const char *half, const char *other_half);

#endif
