/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_SEALED_H
#define SEGMENT_SEALED_H

#include <stdint.h>

/* A memfd of this size (mode 0600, sparse) that nobody can shrink, grow or unseal; or a negative errno. */
int sealed_make(const char *name, uint32_t size);
/* 0 when fd is what sealed_make() makes; -EBADMSG when not; or another negative errno. */
int sealed_check(int fd, uint32_t size);
/* The same file opened once more, without the right to write; or a negative errno. */
int sealed_read_only(int fd);
/* 0 and a shared, writable mapping; or a negative errno. */
int sealed_map(int fd, uint32_t size, void **out);

#endif
