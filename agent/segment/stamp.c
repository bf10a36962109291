/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are good for one boot
 *
 * Processes, their start times and everything that hangs on them end with the machine, so what is known of
 * them must not be believed after a reboot. A build with other records or another number of slots cannot
 * read it either. Both stand in the stamp, and a file whose stamp differs in any byte is replaced: not
 * emptied, because a predecessor that is still dying may have it mapped.
 */
#include "segment/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include <onebeat/segment.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

_Static_assert(offsetof(struct stamp, check) == 252, "the check is the last word");

static uint32_t check_of(const struct stamp *s)
{
	uint32_t words[offsetof(struct stamp, check) / 4];

	memcpy(words, s, sizeof(words));
	return onebeat__crc32c(0, words, sizeof(words) / 4);
}

int stamp_complete(struct stamp *s)
{
	CLEANUP(close_fdp) int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, s->boot_id, sizeof(s->boot_id) - 1);

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	s->check = check_of(s);
	return 0;
}

/* Is it a file that only we can have written? Then *out is what it begins with. */
static bool read_stamp(int fd, struct stamp *out)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0 && pread(fd, out, sizeof(*out), 0) == (ssize_t)sizeof(*out);
}

/* Has it this very stamp? */
static bool is_kept(int fd, const struct stamp *want)
{
	struct stamp have;

	return read_stamp(fd, &have) && memcmp(&have, want, sizeof(have)) == 0;
}

static int make_file(const char *path)
{
	int fd;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int stamp_open(const char *path, const struct stamp *want, int *fd)
{
	*fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (*fd >= 0 && is_kept(*fd, want))
		return STAMP_KEPT;
	if (*fd < 0 && errno != ENOENT && errno != ELOOP)
		return -errno;
	close_fdp(fd);
	*fd = make_file(path);
	return *fd < 0 ? *fd : STAMP_FRESH;
}

int stamp_look(const char *path, struct stamp *out)
{
	CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	return fd >= 0 && read_stamp(fd, out) && out->check == check_of(out) ? 0 : -ENOENT;
}

void stamp_write(void *base, const struct stamp *s)
{
	struct stamp *to = base;

	memcpy(to, s, offsetof(struct stamp, check));
	__atomic_store_n(&to->check, s->check, __ATOMIC_RELEASE);
}
