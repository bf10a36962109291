/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * The segment's files: who can do what with them, what they cost, what adoption believes.
 *
 * fallocate and memfd_create are this program's own, so that a test can have the n-th one fail.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/writer.h"
#include "segment/drain.h"
#include "segment/memory.h"

#define N_SLOTS 64u
#define SMALL 3u /* any small slot */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Faults to come. */
static int fail_fallocate_at; /* the n-th allocation from now on; 0: none */
static int fail_fallocate_with;
static int n_allocations;
static bool old_kernel;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (!(mode & FALLOC_FL_PUNCH_HOLE) && ++n_allocations == fail_fallocate_at) {
		errno = fail_fallocate_with;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int memfd_create(const char *name, unsigned int flags)
{
	if (old_kernel && (flags & ~(unsigned int)(MFD_CLOEXEC | MFD_ALLOW_SEALING))) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_memfd_create, name, flags);
}

static void fail_allocation(int at, int error)
{
	n_allocations = 0;
	fail_fallocate_at = at;
	fail_fallocate_with = error;
}

/* Bytes that the file really has. */
static uint64_t resident(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static uint64_t resident_in_all(const struct memory *m)
{
	return resident(m->data_fd) + resident(m->status_fd);
}

static uint32_t load(const onebeat_word *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static int n_open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static struct memory made(uint32_t n_slots)
{
	struct memory m;

	cr_assert_eq(memory_create(&m, n_slots), 0);
	return m;
}

static uint64_t offset_of(const struct memory *m, const void *p)
{
	return (uint64_t)((const uint8_t *)p - m->data);
}

Test(memory, regions_of_any_geometry_follow_each_other)
{
	static const uint32_t sizes[] = { 1, 2, 7, 8, 9, 100, 1024, 16384, 65535, 65536 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const uint32_t n = sizes[i];
		struct memory m = made(n);
		const struct onebeat_status_header *h = m.status;

		cr_assert_eq(m.n_small + m.n_large, n);
		cr_assert_eq(m.n_large, (n + 7) / 8);
		cr_assert_eq(offset_of(&m, memory_pub(&m, n - 1)),
			     ONEBEAT_PUB_OFFSET + (n - 1) * 4);
		cr_assert_eq(offset_of(&m, memory_tick(&m, n - 1)),
			     ONEBEAT_TICK_OFFSET + (n - 1) * 4);
		if (m.n_small > 0)
			cr_assert_leq(offset_of(&m, memory_block(&m, m.n_small - 1, 1)) + 512,
				      m.large_offset);
		cr_assert_eq(m.large_offset % ONEBEAT_BLOCKS_ALIGN, 0);
		cr_assert_eq(offset_of(&m, memory_block(&m, m.n_small, 0)), m.large_offset);
		cr_assert_eq(offset_of(&m, memory_block(&m, n - 1, 1)) + 4096, m.data_size);
		cr_assert_eq((const uint8_t *)(memory_line(&m, n - 1) + 1) - (const uint8_t *)h,
			     m.status_size);
		memory_deinit(&m);
	}
}

Test(memory, numbers_of_slots_that_no_layout_has_are_refused)
{
	struct memory m;

	cr_assert_eq(memory_create(&m, 0), -EINVAL);
	cr_assert_eq(memory_create(&m, ONEBEAT_SLOTS_MAX + 1), -EINVAL);
	cr_assert_eq(memory_create(&m, UINT32_MAX), -EINVAL);
	cr_assert_eq(m.data_fd, -1);
}

Test(memory, header_tells_clients_the_geometry)
{
	struct memory m = made(N_SLOTS);
	const struct onebeat_status_header *h = m.status;

	cr_assert_eq(memcmp(h->magic, ONEBEAT_SEGMENT_MAGIC, 8), 0);
	cr_assert_eq(h->byte_order, 0x01020304);
	cr_assert_eq(h->major, ONEBEAT_SEGMENT_MAJOR);
	cr_assert_eq(h->header_size, 4096);
	cr_assert_eq(h->line_size, 256);
	cr_assert_eq(h->n_small, 56);
	cr_assert_eq(h->n_large, 8);
	cr_assert_eq(h->small_offset, 0x90000);
	cr_assert_eq(h->large_offset, 0xa0000);
	cr_assert_eq(h->data_size, 0xb0000);
	cr_assert_eq(h->status_size, 4096 + N_SLOTS * 256);
	cr_assert_eq(memcmp(h->uuid, m.uuid, 16), 0);
	cr_assert_eq(load(&h->ready), 1);
	memory_deinit(&m);
}

Test(memory, two_segments_have_two_uuids)
{
	struct memory a = made(N_SLOTS);
	struct memory b = made(N_SLOTS);

	cr_assert_neq(memcmp(a.uuid, b.uuid, 16), 0);
	memory_deinit(&a);
	memory_deinit(&b);
}

Test(memory, files_are_private_sealed_and_not_inherited_by_exec)
{
	struct memory m = made(N_SLOTS);
	const int fds[] = { m.data_fd, m.status_fd };
	struct stat st;

	for (int i = 0; i < 2; i++) {
		cr_assert_eq(fstat(fds[i], &st), 0);
		cr_assert_eq(st.st_mode & 07777, 0600);
		cr_assert_eq(ftruncate(fds[i], 0), -1);
		cr_assert_eq(errno, EPERM);
		cr_assert_eq(ftruncate(fds[i], st.st_size + 4096), -1);
		cr_assert_eq(errno, EPERM);
		cr_assert_eq(fcntl(fds[i], F_ADD_SEALS, F_SEAL_WRITE), -1, "seals are final");
		cr_assert(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
	}
	cr_assert(fcntl(m.status_ro_fd, F_GETFD) & FD_CLOEXEC);
	memory_deinit(&m);
}

Test(memory, clients_descriptor_of_the_status_file_cannot_write)
{
	struct memory m = made(N_SLOTS);
	const struct onebeat_status_header *h;

	cr_assert_eq(fcntl(m.status_ro_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	cr_assert_eq(mmap(NULL, m.status_size, PROT_READ | PROT_WRITE, MAP_SHARED, m.status_ro_fd,
			  0),
		     MAP_FAILED);
	cr_assert_eq(errno, EACCES);
	h = mmap(NULL, m.status_size, PROT_READ, MAP_SHARED, m.status_ro_fd, 0);
	cr_assert_neq(h, MAP_FAILED);
	drain_set_sleeping(&m, true);
	cr_assert_eq(load(&h->sleeping), 1, "it is the same file");
	memory_deinit(&m);
}

Test(memory, kernel_that_does_not_know_noexec_will_do)
{
	struct memory m;

	old_kernel = true;
	cr_assert_eq(memory_create(&m, N_SLOTS), 0);
	memory_deinit(&m);
}

Test(memory, unused_segment_costs_the_bitmaps_and_a_header)
{
	struct memory m = made(ONEBEAT_SLOTS_MAX);

	cr_assert_leq(resident(m.data_fd), 0x10000);
	cr_assert_leq(resident(m.status_fd), 0x10000);
	memory_deinit(&m);
}

Test(memory, slots_pages_come_at_open_and_go_with_the_last_user)
{
	struct memory m = made(4096);
	const uint64_t before = resident_in_all(&m);
	const uint32_t per_page = (uint32_t)sysconf(_SC_PAGESIZE) / 1024;
	uint64_t one;

	cr_assert_eq(memory_slot_open(&m, 0, 1), 0);
	one = resident_in_all(&m);
	cr_assert_gt(one, before);
	for (uint32_t i = 1; i < per_page; i++)
		cr_assert_eq(memory_slot_open(&m, i, 1), 0);
	cr_assert_eq(resident_in_all(&m), one, "small slots share a page");
	for (uint32_t i = 1; i < per_page; i++)
		memory_slot_close(&m, i);
	cr_assert_eq(resident_in_all(&m), one, "slot 0 still lies in it");
	memory_slot_close(&m, 0);
	cr_assert_eq(resident_in_all(&m), before);
	memory_deinit(&m);
}

Test(memory, closing_a_slot_leaves_its_neighbours_alone)
{
	const uint32_t payload[] = { 0x11111111, 0x22222222 };
	struct memory m = made(N_SLOTS);
	struct drain_copy copy;

	cr_assert_eq(memory_slot_open(&m, SMALL, 1), 0);
	cr_assert_eq(memory_slot_open(&m, SMALL + 1, 1), 0);
	cr_assert_eq(memory_slot_open(&m, N_SLOTS - 1, 1), 0);
	writer_publish(&m, SMALL, 1, 1, ONEBEAT_OP_LIVE, payload, sizeof(payload));
	memory_slot_close(&m, SMALL + 1);
	memory_slot_close(&m, N_SLOTS - 1);
	cr_assert_eq(drain_read(&m, SMALL, 1, 0, &copy), DRAIN_READY);
	cr_assert_eq(memcmp(copy.payload, payload, sizeof(payload)), 0);
	memory_deinit(&m);
}

/* One after the other, each allocation of an open fails: nothing may stay behind. */
Test(memory, open_without_room_is_refused_and_keeps_nothing)
{
	struct memory m = made(N_SLOTS);
	const uint64_t before = resident_in_all(&m);
	int at = 0;
	int r;

	do {
		fail_allocation(++at, ENOSPC);
		r = memory_slot_open(&m, N_SLOTS - 1, 1);
		cr_assert(r == 0 || r == -ENOSPC, "%d", r);
		if (r < 0)
			cr_assert_eq(resident_in_all(&m), before, "allocation %d", at);
	} while (r < 0);
	cr_assert_eq(at, 5, "a slot has four parts");
	memory_slot_close(&m, N_SLOTS - 1);
	cr_assert_eq(resident_in_all(&m), before);
	memory_deinit(&m);
}

Test(memory, interrupted_allocation_is_tried_again)
{
	struct memory m = made(N_SLOTS);

	fail_allocation(2, EINTR);
	cr_assert_eq(memory_slot_open(&m, SMALL, 1), 0);
	memory_deinit(&m);
}

Test(memory, create_without_room_is_refused_and_leaks_nothing)
{
	const int before = n_open_fds();
	struct memory m;

	for (int at = 1; at <= 2; at++) {
		fail_allocation(at, ENOSPC);
		cr_assert_eq(memory_create(&m, N_SLOTS), -ENOSPC);
		cr_assert_eq(n_open_fds(), before);
	}
}

Test(memory, create_without_descriptors_is_refused_and_leaks_nothing)
{
	const int before = n_open_fds();
	struct rlimit limit;
	struct memory m;
	int next = dup(0);

	close(next);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int n_left = 0; n_left < 3; n_left++) {
		limit.rlim_cur = (rlim_t)(next + n_left);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		cr_assert_eq(memory_create(&m, N_SLOTS), -EMFILE, "with %d left", n_left);
		cr_assert_eq(n_open_fds(), before);
	}
}

Test(memory, open_shows_nothing_of_the_owner_before)
{
	struct memory m = made(N_SLOTS);
	uint32_t payload[16];

	memset(payload, 0xa5, sizeof(payload));
	cr_assert_eq(memory_slot_open(&m, SMALL + 1, 1), 0); /* keeps the page */
	cr_assert_eq(memory_slot_open(&m, SMALL, 1), 0);
	for (uint32_t version = 1; version <= 2; version++)
		writer_publish(&m, SMALL, 1, version, ONEBEAT_OP_LIVE, payload, sizeof(payload));
	atomic_store(memory_tick(&m, SMALL), 77);
	atomic_store(&memory_line(&m, SMALL)->beat_ms, 99);
	memory_slot_close(&m, SMALL);
	cr_assert_eq(memory_slot_open(&m, SMALL, 2), 0);
	for (uint32_t parity = 0; parity < 2; parity++) {
		const onebeat_word *words = &memory_block(&m, SMALL, parity)->seq;

		for (int i = 0; i < 512 / 4; i++)
			cr_assert_eq(load(&words[i]), 0);
	}
	cr_assert_eq(load(memory_pub(&m, SMALL)), 0);
	cr_assert_eq(load(memory_tick(&m, SMALL)), 0);
	cr_assert_eq(load(&memory_line(&m, SMALL)->generation), 2);
	cr_assert_eq(load(&memory_line(&m, SMALL)->beat_ms), 0);
	memory_deinit(&m);
}

/* Somebody may sleep on a version: the value that he saw must not come back with another meaning. */
Test(memory, version_of_a_line_never_goes_back)
{
	struct memory m = made(N_SLOTS);
	onebeat_word *version = &memory_line(&m, SMALL)->version;
	uint32_t last = 0;

	for (uint32_t generation = 1; generation < 20; generation++) {
		cr_assert_eq(memory_slot_open(&m, SMALL, generation), 0);
		cr_assert_gt(load(version), last);
		last = load(version) + generation;
		atomic_store(version, last);  /* as status lines written would */
		memory_slot_close(&m, SMALL); /* alone in its page: it goes */
	}
	memory_deinit(&m);
}

Test(memory, version_goes_on_through_its_wrap)
{
	struct memory m = made(N_SLOTS);
	onebeat_word *version = &memory_line(&m, SMALL)->version;

	cr_assert_eq(memory_slot_open(&m, SMALL, 1), 0);
	atomic_store(version, UINT32_MAX);
	memory_slot_close(&m, SMALL);
	cr_assert_eq(memory_slot_open(&m, SMALL, 2), 0);
	cr_assert_eq(load(version), 0);
	memory_slot_close(&m, SMALL);
	cr_assert_eq(memory_slot_open(&m, SMALL, 3), 0);
	cr_assert_eq(load(version), 1);
	memory_deinit(&m);
}

Test(memory, closing_what_is_not_open_does_nothing)
{
	struct memory m = made(N_SLOTS);
	const uint64_t before = resident_in_all(&m);

	memory_slot_close(&m, SMALL);
	cr_assert_eq(memory_slot_open(&m, SMALL, 1), 0);
	memory_slot_close(&m, SMALL);
	memory_slot_close(&m, SMALL);
	cr_assert_eq(resident_in_all(&m), before);
	memory_deinit(&m);
}

static void note_slot(void *ctx, uint32_t slot)
{
	uint32_t *slots = ctx;

	slots[++slots[0]] = slot;
}

Test(memory, agents_own_publication_reads_like_any_other)
{
	struct memory m = made(N_SLOTS);
	uint32_t payload[ONEBEAT_LARGE_PAYLOAD / 4];
	struct drain_copy copy;

	for (uint32_t i = 0; i < ONEBEAT_LARGE_PAYLOAD / 4; i++)
		payload[i] = i * 0x01010101u;
	for (uint32_t slot = SMALL; slot < N_SLOTS; slot += N_SLOTS - 1 - SMALL) {
		for (uint32_t length = 0; length <= memory_payload_max(&m, slot); length++) {
			uint32_t slots[2] = { 0 };

			cr_assert_eq(memory_slot_open(&m, slot, length + 1), 0);
			memory_publish(&m, slot, length + 1, payload, length);
			cr_assert_eq(drain_read(&m, slot, length + 1, 0, &copy), DRAIN_READY,
				     "length %u: %s", length, copy.why);
			cr_assert_eq(copy.version, 1);
			cr_assert_eq(copy.op, ONEBEAT_OP_LIVE);
			cr_assert_eq(copy.length, length);
			cr_assert_eq(memcmp(copy.payload, payload, length), 0);
			if (length % 4)
				cr_assert_eq(((uint8_t *)copy.payload)[length], 0, "padding");
			cr_assert_eq(drain_dirty(&m, note_slot, slots), 1);
			cr_assert_eq(slots[1], slot);
			memory_slot_close(&m, slot);
		}
	}
	memory_deinit(&m);
}

Test(memory, deinit_takes_anything_and_twice)
{
	struct memory never = MEMORY_NULL;
	struct memory m = made(N_SLOTS);
	const int before = n_open_fds();

	memory_deinit(&never);
	memory_deinit(&m);
	memory_deinit(&m);
	cr_assert_eq(n_open_fds(), before - 3);
}
