/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in memory that go through an exec
 *
 * What a process leaves to the program that it executes: a head and a table behind it. A memfd and not a
 * stream, because it may be a megabyte and must be there as a whole before the program runs.
 */
#include "base/memfile.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

/* Kernels from 6.3 want to be told that the file is no program; older ones do not know the flag. */
static int make_file(const char *name)
{
	int fd = memfd_create(name, MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, 0);
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const void *bytes, size_t size, off_t at)
{
	const char *p = bytes;

	while (size > 0) {
		ssize_t n = pwrite(fd, p, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int memfile_write(const char *name, const void *head, size_t head_size, const void *entries,
		  size_t entries_size)
{
	CLEANUP(close_fdp) int fd = make_file(name);
	int r;

	if (fd < 0)
		return fd;
	r = write_all(fd, head, head_size, 0);
	if (r == 0)
		r = write_all(fd, entries, entries_size, (off_t)head_size);
	return r < 0 ? r : take_fd(&fd);
}

int memfile_read(int fd, void *bytes, size_t size, size_t at)
{
	char *p = bytes;

	while (size > 0) {
		ssize_t n = pread(fd, p, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		p += n;
		at += (size_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int memfile_check_size(int fd, uint64_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size == size ? 0 : -EBADMSG;
}
