/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed memfds
 *
 * Memory that is shared with strangers must not lose its end: whoever touches a page behind the end of its
 * file gets SIGBUS. A memfd can be sealed against that for good, a file in /dev/shm cannot. What the seals
 * do not stop is a hole punched into it, which reads as zeros and is caught by checksums.
 *
 * The kernel's internal mount that memfds live on is not executable business either: the newer ones are
 * told so, and file mode 0600 keeps other uids from opening ours through /proc.
 */
#include "segment/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int sealed_make(const char *name, uint32_t size)
{
	CLEANUP(close_fdp)
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* Linux before 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fchmod(fd, 0600) < 0 || ftruncate(fd, size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return take_fd(&fd);
}

int sealed_check(int fd, uint32_t size)
{
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0)
		return -errno;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & ~F_SEAL_EXEC) != SEALS)
		return -EBADMSG;
	return st.st_size == (off_t)size ? 0 : -EBADMSG;
}

int sealed_read_only(int fd)
{
	char path[32];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? -errno : ro;
}

int sealed_map(int fd, uint32_t size, void **out)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	*out = p == MAP_FAILED ? NULL : p;
	return p == MAP_FAILED ? -errno : 0;
}
