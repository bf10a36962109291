/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparse mapped files
 *
 * A page that is not there is made at the first touch, and if there is no room for it (/run is a small
 * tmpfs), the toucher gets SIGBUS: also for reading. So no page is touched before it was allocated by a call
 * that can fail, and a bit a page remembers which ones were. A successor finds its bits by asking the file
 * where it has data.
 *
 * What lies partly in pages that are not there is read with pread(), which makes none. (A page that was
 * allocated but never written may count as a hole, too.)
 *
 * Reserving is for any thread: bits are only ever set, and to allocate twice does no harm.
 */
#include "segment/sparse.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/guard.h"

#define BITS 32u

_Static_assert(sizeof(off_t) == 8, "a file of all domains passes 2 GiB");

static uint64_t page_of(const struct sparse *s, uint64_t offset)
{
	return offset / s->page_size;
}

/* The page behind the last one of these bytes. */
static uint64_t end_of(const struct sparse *s, uint64_t offset, uint64_t size)
{
	assert(size > 0 && offset < s->size && size <= s->size - offset);
	return (offset + size - 1) / s->page_size + 1;
}

static bool is_present(const struct sparse *s, uint64_t page)
{
	return atomic_load_explicit(&s->present[page / BITS], memory_order_relaxed) >> page % BITS &
	       1;
}

static void set_present(struct sparse *s, uint64_t first, uint64_t end)
{
	for (uint64_t page = first; page < end; page++)
		atomic_fetch_or_explicit(&s->present[page / BITS], UINT32_C(1) << page % BITS,
					 memory_order_relaxed);
}

static int grow(int fd, off_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size >= size || ftruncate(fd, size) == 0 ? 0 : -errno;
}

/* Notes the pages in which the file has data. */
static int find_present(struct sparse *s)
{
	const off_t end = s->start + (off_t)s->size;
	off_t at = s->start;

	while (at < end) {
		off_t data = lseek(s->fd, at, SEEK_DATA);

		if (data < 0 && errno != ENXIO)
			return -errno;
		if (data < 0 || data >= end)
			return 0;
		at = lseek(s->fd, data, SEEK_HOLE);
		if (at < 0)
			return -errno;
		if (at > end)
			at = end;
		set_present(s, page_of(s, (uint64_t)(data - s->start)),
			    end_of(s, (uint64_t)(data - s->start), (uint64_t)(at - data)));
	}
	return 0;
}

static int map(struct sparse *s)
{
	uint64_t n_pages = end_of(s, 0, s->size);
	void *p;
	int r;

	s->present = calloc((n_pages + BITS - 1) / BITS, sizeof(*s->present));
	if (!s->present)
		return -ENOMEM;
	r = grow(s->fd, s->start + (off_t)s->size);
	if (r == 0)
		r = find_present(s);
	if (r < 0)
		return r;
	p = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, s->start);
	if (p == MAP_FAILED)
		return -errno;
	r = guard_add(p, s->size);
	if (r < 0) {
		munmap(p, s->size);
		return r;
	}
	s->base = p;
	return 0;
}

int sparse_map(struct sparse *s, int fd, off_t start, uint64_t size)
{
	int r;

	assert(start % SPARSE_ALIGN == 0 && size > 0 && size % SPARSE_ALIGN == 0);
	*s = (struct sparse){ .fd = fd, .start = start, .size = size };
	s->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	r = map(s);
	if (r < 0)
		sparse_unmap(s);
	return r;
}

void sparse_unmap(struct sparse *s)
{
	guard_remove(s->base);
	if (s->base)
		munmap(s->base, s->size);
	free(s->present);
	*s = (struct sparse)SPARSE_NULL;
}

static int allocate(const struct sparse *s, uint64_t first, uint64_t end)
{
	off_t offset = s->start + (off_t)(first * s->page_size);
	off_t size = (off_t)((end - first) * s->page_size);
	int r;

	do
		r = fallocate(s->fd, FALLOC_FL_KEEP_SIZE, offset, size) < 0 ? -errno : 0;
	while (r == -EINTR);
	/* A file system that cannot say beforehand: not the kind that a runtime folder is on. */
	return r == -EOPNOTSUPP ? 0 : r;
}

int sparse_reserve(struct sparse *s, uint64_t offset, uint64_t size)
{
	uint64_t first = page_of(s, offset);
	uint64_t end = end_of(s, offset, size);
	int r;

	if (guard_n_lost(s->base) > 0)
		return -EIO; /* it would be written where no successor reads */
	while (first < end && is_present(s, first))
		first++;
	if (first == end)
		return 0;
	r = allocate(s, first, end);
	if (r == 0)
		set_present(s, first, end);
	return r;
}

uint8_t *sparse_at(const struct sparse *s, uint64_t offset, uint64_t size)
{
	uint64_t end = end_of(s, offset, size);
	uint64_t page = page_of(s, offset);

	while (page < end && is_present(s, page))
		page++;
	return page == end ? s->base + offset : NULL;
}

bool sparse_read(const struct sparse *s, uint64_t offset, uint64_t size, void *out)
{
	uint64_t end = end_of(s, offset, size);
	uint64_t page = page_of(s, offset);

	while (page < end && !is_present(s, page))
		page++;
	return page < end && pread(s->fd, out, size, s->start + (off_t)offset) == (ssize_t)size;
}

/* What cannot be given back is at least emptied. */
static void wipe(struct sparse *s)
{
	for (uint64_t page = 0; page < end_of(s, 0, s->size); page++) {
		if (is_present(s, page))
			memset(s->base + page * s->page_size, 0, s->page_size);
	}
}

void sparse_clear(struct sparse *s)
{
	const uint64_t n_words = (end_of(s, 0, s->size) + BITS - 1) / BITS;

	if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s->start, (off_t)s->size) <
	    0) {
		wipe(s);
		return;
	}
	for (uint64_t i = 0; i < n_words; i++)
		atomic_store_explicit(&s->present[i], 0, memory_order_relaxed);
}
