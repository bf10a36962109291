/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * What a successor believes of memfds that the keeper held for it, and what it refuses.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/writer.h"
#include "segment/drain.h"

#define N_SLOTS 64u
#define SMALL 3u

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

/* What a successor gets: duplicates, as through the keeper. */
static void hand_over(struct memory *m, int *data_fd, int *status_fd)
{
	*data_fd = fcntl(m->data_fd, F_DUPFD_CLOEXEC, 0);
	*status_fd = fcntl(m->status_fd, F_DUPFD_CLOEXEC, 0);
	memory_deinit(m);
}

Test(memory_adopt, adoption_goes_on_where_the_predecessor_died)
{
	const uint32_t payload[] = { 1, 2, 3 };
	struct memory m = made(N_SLOTS);
	const uint64_t before = resident_in_all(&m);
	uint8_t uuid[16];
	int data_fd, status_fd;
	struct drain_copy copy;
	struct memory n;

	memcpy(uuid, m.uuid, sizeof(uuid));
	cr_assert_eq(memory_slot_open(&m, SMALL, 7), 0);
	writer_publish(&m, SMALL, 7, 1, ONEBEAT_OP_LIVE, payload, sizeof(payload));
	drain_set_sleeping(&m, true);
	hand_over(&m, &data_fd, &status_fd);
	cr_assert_eq(memory_adopt(&n, data_fd, status_fd, N_SLOTS, uuid), 0);
	cr_assert_eq(load(&n.status->epoch), 1);
	cr_assert_eq(n.epoch, 1);
	cr_assert_eq(load(&n.status->sleeping), 0);
	cr_assert_eq(memory_slot_adopt(&n, SMALL), 0);
	cr_assert_eq(load(&memory_line(&n, SMALL)->generation), 7, "the line is left as it was");
	cr_assert_eq(drain_read(&n, SMALL, 7, 0, &copy), DRAIN_READY);
	cr_assert_eq(memcmp(copy.payload, payload, sizeof(payload)), 0);
	/* Its pages are counted again: a neighbour's end takes nothing from it, its own gives all back. */
	cr_assert_eq(memory_slot_open(&n, SMALL + 1, 1), 0);
	memory_slot_close(&n, SMALL + 1);
	cr_assert_eq(drain_read(&n, SMALL, 7, 0, &copy), DRAIN_READY);
	memory_slot_close(&n, SMALL);
	cr_assert_eq(resident_in_all(&n), before);
	memory_deinit(&n);
}

Test(memory_adopt, each_adoption_is_an_epoch)
{
	struct memory m = made(N_SLOTS);
	uint8_t uuid[16];

	memcpy(uuid, m.uuid, sizeof(uuid));
	for (uint32_t epoch = 1; epoch < 5; epoch++) {
		int data_fd, status_fd;

		hand_over(&m, &data_fd, &status_fd);
		cr_assert_eq(memory_adopt(&m, data_fd, status_fd, N_SLOTS, uuid), 0);
		cr_assert_eq(m.epoch, epoch);
	}
	memory_deinit(&m);
}

static void assert_refused(int data_fd, int status_fd, uint32_t n_slots, const uint8_t uuid[16],
			   const char *what)
{
	const int before = n_open_fds();
	struct memory m;

	cr_assert_eq(memory_adopt(&m, data_fd, status_fd, n_slots, uuid), -EBADMSG, "%s", what);
	cr_assert_eq(n_open_fds(), before - 2, "%s: descriptors are consumed", what);
}

Test(memory_adopt, adoption_refuses_files_of_another_shape)
{
	struct memory m = made(N_SLOTS);
	uint8_t uuid[16], other[16];

	memcpy(uuid, m.uuid, sizeof(uuid));
	memcpy(other, uuid, sizeof(other));
	other[15] ^= 1;
	assert_refused(dup(m.data_fd), dup(m.status_fd), N_SLOTS * 2, uuid,
		       "other number of slots");
	assert_refused(dup(m.data_fd), dup(m.status_fd), N_SLOTS, other, "other uuid");
	assert_refused(dup(m.status_fd), dup(m.data_fd), N_SLOTS, uuid, "swapped");
	assert_refused(dup(m.status_fd), dup(m.status_fd), N_SLOTS, uuid, "the same twice");
	memory_deinit(&m);
}

Test(memory_adopt, adoption_refuses_files_that_could_shrink)
{
	static const int seals[] = { 0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW };
	struct memory m = made(N_SLOTS);
	char name[] = "/tmp/onebeat-test-XXXXXX";
	int file = mkstemp(name);

	cr_assert_geq(file, 0);
	unlink(name);
	cr_assert_eq(ftruncate(file, m.data_size), 0);
	for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
		int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		cr_assert_eq(ftruncate(fd, m.data_size), 0);
		cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
		assert_refused(fd, dup(m.status_fd), N_SLOTS, m.uuid, "seals are missing");
	}
	assert_refused(file, dup(m.status_fd), N_SLOTS, m.uuid, "not a memfd");
	memory_deinit(&m);
}

Test(memory_adopt, adoption_refuses_a_header_with_any_bit_wrong)
{
	struct memory m = made(N_SLOTS);
	uint8_t *bytes = (uint8_t *)m.status;
	const size_t end = offsetof(struct onebeat_status_header, ready) + sizeof(onebeat_word);

	for (size_t i = 0; i < end; i++) {
		bytes[i] ^= 1;
		assert_refused(dup(m.data_fd), dup(m.status_fd), N_SLOTS, m.uuid, "header");
		bytes[i] ^= 1;
	}
	cr_assert_eq(load(&m.status->epoch), 0, "a refused one is no epoch");
	memory_deinit(&m);
}

/* Seals do not keep anybody from punching holes: adoption and grants go on with pages of zeros. */
Test(memory_adopt, adopted_slot_with_punched_pages_reads_as_nothing)
{
	const uint32_t payload[] = { 1 };
	struct memory m = made(N_SLOTS);
	struct drain_copy copy;
	struct memory n;
	uint8_t uuid[16];
	int data_fd, status_fd;

	memcpy(uuid, m.uuid, sizeof(uuid));
	cr_assert_eq(memory_slot_open(&m, SMALL, 1), 0);
	writer_publish(&m, SMALL, 1, 1, ONEBEAT_OP_LIVE, payload, sizeof(payload));
	cr_assert_eq(fallocate(m.data_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       m.small_offset, 0x10000),
		     0);
	hand_over(&m, &data_fd, &status_fd);
	cr_assert_eq(memory_adopt(&n, data_fd, status_fd, N_SLOTS, uuid), 0);
	cr_assert_eq(memory_slot_adopt(&n, SMALL), 0);
	cr_assert_eq(drain_read(&n, SMALL, 1, 0, &copy), DRAIN_INVALID);
	memory_deinit(&n);
}
