/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's memory, wiped before it is given back
 *
 * libcurl copies what it sends: a login's body and every Authorization line pass through its own
 * buffers, which it frees as they are. It lets its user bring the allocator, so what it frees is
 * overwritten first. Beats pass by it (their bytes go through buffers of ours), so the price is that
 * of a memset in the request lane.
 */
#include "http/curl_memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void wiping_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

/* realloc() itself would leave the old place as it was. */
static void *wiping_realloc(void *p, size_t size)
{
	size_t n = p ? malloc_usable_size(p) : 0;
	void *moved = malloc(size);

	if (!moved)
		return NULL;
	if (p)
		memcpy(moved, p, n < size ? n : size);
	wiping_free(p);
	return moved;
}

CURLcode curl_memory_init(void)
{
	return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc,
				    strdup, calloc);
}
