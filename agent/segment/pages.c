/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of a sparse file, by their users
 *
 * The parts of a segment are smaller than a page (four small slots, a thousand pub words), so they cannot
 * be allocated and given back one by one. Each page counts the parts in use that lie in it: the first one
 * allocates the page, the last one punches it out. Allocation is what turns a lack of memory into an error
 * here, where it can be refused, instead of a signal in whoever touches the page first.
 *
 * One thread.
 */
#include "segment/pages.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE_SIZE_MAX 65536

/* The smallest parts are words of 4 bytes. */
_Static_assert(PAGE_SIZE_MAX / 4 <= UINT16_MAX, "a page's users fit their counter");

static uint32_t first_page(const struct pages *p, uint32_t offset)
{
	return offset / p->page_size;
}

/* The page behind the last one that the part lies in. */
static uint32_t end_page(const struct pages *p, uint32_t offset, uint32_t size)
{
	assert(size > 0 && offset < p->file_size && size <= p->file_size - offset);
	return (offset + (size - 1)) / p->page_size + 1;
}

int pages_init(struct pages *p, int fd, uint32_t file_size)
{
	long page_size = sysconf(_SC_PAGESIZE);

	*p = (struct pages)PAGES_NULL;
	if (page_size <= 0 || page_size > PAGE_SIZE_MAX)
		return -ENOTSUP;
	p->fd = fd;
	p->file_size = file_size;
	p->page_size = (uint32_t)page_size;
	p->users = calloc(end_page(p, 0, file_size), sizeof(*p->users));
	return p->users ? 0 : -ENOMEM;
}

void pages_deinit(struct pages *p)
{
	free(p->users);
	*p = (struct pages)PAGES_NULL;
}

/* The file's end may lie inside the last page, and the seal forbids to allocate beyond it. */
static uint64_t bytes_of(const struct pages *p, uint32_t first, uint32_t end)
{
	uint64_t stop = (uint64_t)end * p->page_size;

	return (stop < p->file_size ? stop : p->file_size) - (uint64_t)first * p->page_size;
}

static int allocate(const struct pages *p, uint32_t first, uint32_t end)
{
	off_t offset = (off_t)first * p->page_size;
	int r;

	do
		r = fallocate(p->fd, 0, offset, (off_t)bytes_of(p, first, end)) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r;
}

int pages_take(struct pages *p, uint32_t offset, uint32_t size)
{
	uint32_t first = first_page(p, offset);
	uint32_t end = end_page(p, offset, size);
	bool fresh = false;
	int r = 0;

	for (uint32_t i = first; i < end; i++)
		fresh = fresh || p->users[i] == 0;
	if (fresh)
		r = allocate(p, first, end);
	for (uint32_t i = first; r == 0 && i < end; i++)
		p->users[i]++;
	return r;
}

void pages_give(struct pages *p, uint32_t offset, uint32_t size)
{
	uint32_t end = end_page(p, offset, size);

	for (uint32_t i = first_page(p, offset); i < end; i++) {
		assert(p->users[i] > 0);
		if (--p->users[i] > 0)
			continue;
		/* A page that does not go back is one that stays: nothing to act on. */
		(void)fallocate(p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)i * p->page_size, p->page_size);
	}
}
