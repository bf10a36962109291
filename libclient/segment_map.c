/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared files in this process
 *
 * Tick words and status lines are read and written without a lock, by any thread, in signal handlers and in
 * forked children. So they are mapped into windows that were reserved with the handle: another segment is
 * mapped over the old one in place (the kernel does that in one step), no address ever changes, and nobody can
 * be caught on an unmapped page. The windows have the size of the largest geometry; reserving costs nothing.
 *
 * DATA as a whole is mapped apart, for publishing alone: under the handle's lock, and never in a forked child
 * (MADV_DONTFORK), where a stray write would otherwise hit the parent's slots.
 *
 * The files come from the agent, but are checked all the same: a size that does not fit its geometry would be
 * SIGBUS in somebody else's program. The header is copied once, and the copy is judged.
 */
#include "segment_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_MAX                              \
	(sizeof(struct onebeat_status_header) + \
	 (size_t)ONEBEAT_SLOTS_MAX * sizeof(struct onebeat_status_line))
#define HEADER_READ (offsetof(struct onebeat_status_header, ready) + sizeof(onebeat_word))
#define BLOCK_ALIGN 64u

static size_t round_up(size_t n, size_t page)
{
	return (n + page - 1) / page * page;
}

void onebeat__segment_map_measure(struct segment_map *map, size_t page)
{
	/* With pages of 64 KiB the region does not begin at one. */
	map->ticks_shift = (uint32_t)(ONEBEAT_TICK_OFFSET % page);
	map->ticks_window_size = round_up(map->ticks_shift + ONEBEAT_TICK_SIZE, page);
	map->status_window_size = round_up(STATUS_MAX, page);
}

/* Do n slots of two blocks lie between offset and end? */
static bool blocks_fit(uint32_t offset, uint32_t n, uint32_t block, uint64_t end)
{
	return offset >= ONEBEAT_BLOCKS_OFFSET && offset % BLOCK_ALIGN == 0 &&
	       (uint64_t)offset + (uint64_t)n * 2 * block <= end;
}

static bool geometry_is_sound(const struct onebeat_status_header *h)
{
	const uint64_t n = (uint64_t)h->n_small + h->n_large;

	return n > 0 && n <= ONEBEAT_SLOTS_MAX && h->header_size == sizeof(*h) &&
	       h->line_size == sizeof(struct onebeat_status_line) &&
	       h->status_size >= sizeof(*h) + n * sizeof(struct onebeat_status_line) &&
	       h->status_size <= STATUS_MAX && h->small_offset <= h->large_offset &&
	       h->large_offset <= h->data_size &&
	       blocks_fit(h->small_offset, h->n_small, ONEBEAT_SMALL_BLOCK, h->large_offset) &&
	       blocks_fit(h->large_offset, h->n_large, ONEBEAT_LARGE_BLOCK, h->data_size);
}

static bool header_is_ours(const struct onebeat_status_header *h)
{
	return memcmp(h->magic, ONEBEAT_SEGMENT_MAGIC, sizeof(h->magic)) == 0 &&
	       h->byte_order == ONEBEAT_SEGMENT_BYTE_ORDER && h->major == ONEBEAT_SEGMENT_MAJOR &&
	       h->feat_incompat == 0 && atomic_load_explicit(&h->ready, memory_order_relaxed) == 1;
}

/* Reads the header into a copy and holds it against the files. */
static int check_files(int data_fd, int status_fd, struct onebeat_status_header *h,
		       struct stat *data, struct stat *status)
{
	const int seals = fcntl(data_fd, F_GET_SEALS);

	if (fstat(data_fd, data) < 0 || fstat(status_fd, status) < 0)
		return -errno;
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EPROTO; /* it could be cut under our feet */
	if (pread(status_fd, h, HEADER_READ, 0) != (ssize_t)HEADER_READ)
		return -EPROTO;
	if (!header_is_ours(h) || !geometry_is_sound(h) || data->st_size != (off_t)h->data_size ||
	    status->st_size != (off_t)h->status_size)
		return -EPROTO;
	return 0;
}

static int map_data(struct segment_map *map, int fd, uint32_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	if (madvise(p, size, MADV_DONTFORK) < 0) {
		int r = -errno;

		munmap(p, size);
		return r;
	}
	onebeat__segment_map_detach(map);
	map->data = p;
	map->data_size = size;
	return 0;
}

static int map_windows(const struct segment_map *map, int data_fd, int status_fd,
		       uint32_t status_size)
{
	if (mmap(map->ticks_window, map->ticks_window_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, data_fd,
		 (off_t)(ONEBEAT_TICK_OFFSET - map->ticks_shift)) == MAP_FAILED)
		return -errno;
	if (mmap(map->status, status_size, PROT_READ, MAP_SHARED | MAP_FIXED, status_fd, 0) ==
	    MAP_FAILED)
		return -errno;
	return 0;
}

static void take_geometry(struct segment_map *map, const struct onebeat_status_header *h,
			  const struct stat *data, const struct stat *status)
{
	map->n_small = h->n_small;
	map->small_offset = h->small_offset;
	map->large_offset = h->large_offset;
	map->data_dev = data->st_dev;
	map->data_ino = data->st_ino;
	map->status_dev = status->st_dev;
	map->status_ino = status->st_ino;
	atomic_store_explicit(&map->n_slots, h->n_small + h->n_large, memory_order_release);
}

static bool is_mapped(const struct segment_map *map, const struct stat *data,
		      const struct stat *status)
{
	return map->data && map->data_dev == data->st_dev && map->data_ino == data->st_ino &&
	       map->status_dev == status->st_dev && map->status_ino == status->st_ino;
}

int onebeat__segment_map_attach(struct segment_map *map, int data_fd, int status_fd)
{
	struct onebeat_status_header h = { 0 };
	struct stat data = { 0 }, status = { 0 };
	int r = check_files(data_fd, status_fd, &h, &data, &status);

	if (r < 0 || is_mapped(map, &data, &status))
		return r;
	atomic_store_explicit(&map->n_slots, 0, memory_order_relaxed);
	r = map_data(map, data_fd, h.data_size);
	if (r == 0)
		r = map_windows(map, data_fd, status_fd, h.status_size);
	if (r == 0)
		take_geometry(map, &h, &data, &status);
	else
		onebeat__segment_map_detach(map);
	return r;
}

void onebeat__segment_map_detach(struct segment_map *map)
{
	if (map->data)
		munmap(map->data, map->data_size);
	map->data = NULL;
	map->data_size = 0;
}
