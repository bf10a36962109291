/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest
 *
 * An agent inherits its descriptors through fork and exec; the manifest tells it which number is
 * what. It is a memfd and not a stream, because it may be a megabyte (a lease each for tens of
 * thousands of processes) and must be there as a whole before the agent runs. Descriptors that are
 * inherited, unlike ones that are sent, meet no limit on what may be in flight.
 *
 * The reader takes the file as given input: it is named on a command line.
 */
#include "base/manifest.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

/* Kernels from 6.3 want to be told that the file is no program; older ones do not know the flag. */
static int make_file(void)
{
	int fd = memfd_create("onebeat-manifest", MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("onebeat-manifest", 0);
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

static int read_all(int fd, void *bytes, size_t size, off_t at)
{
	char *p = bytes;

	while (size > 0) {
		ssize_t n = pread(fd, p, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		p += n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int manifest_write(const struct manifest_head *head, const struct manifest_entry *entries)
{
	CLEANUP(close_fdp) int fd = make_file();
	struct manifest_head out = *head;
	int r;

	if (fd < 0)
		return fd;
	out.magic = MANIFEST_MAGIC;
	out.version = CHANNEL_VERSION;
	r = write_all(fd, &out, sizeof(out), 0);
	if (r == 0)
		r = write_all(fd, entries, out.n_entries * sizeof(*entries), sizeof(out));
	return r < 0 ? r : take_fd(&fd);
}

static int check_head(int fd, const struct manifest_head *head)
{
	struct stat st;

	if (head->magic != MANIFEST_MAGIC)
		return -EBADMSG;
	if (head->version != CHANNEL_VERSION)
		return -EPROTO;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size !=
	    sizeof(*head) + (uint64_t)head->n_entries * sizeof(struct manifest_entry))
		return -EBADMSG;
	return 0;
}

static int read_entries(int fd, uint32_t n_entries, struct manifest_entry *entries)
{
	int r = read_all(fd, entries, n_entries * sizeof(*entries), sizeof(struct manifest_head));

	for (uint32_t i = 0; r == 0 && i < n_entries; i++) {
		if (entries[i].fd < 0 || entries[i].kind < CHANNEL_LINK ||
		    entries[i].kind > CHANNEL_LEASE)
			r = -EBADMSG;
	}
	return r;
}

int manifest_read(int fd, struct manifest_head *head, struct manifest_entry **entries)
{
	CLEANUP(close_fdp) int file = fd;
	struct manifest_entry *list;
	int r;

	*entries = NULL;
	r = read_all(file, head, sizeof(*head), 0);
	if (r == 0)
		r = check_head(file, head);
	if (r < 0)
		return r;
	list = calloc((size_t)head->n_entries + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	r = read_entries(file, head->n_entries, list);
	if (r < 0) {
		free(list);
		return r;
	}
	*entries = list;
	return 0;
}
