/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEMFILE_H
#define BASE_MEMFILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Makes a memfd that holds head (which tells n_entries itself) and entries behind it; the descriptor (not
 * CLOEXEC: it is for who is executed) or a negative errno.
 */
int memfile_write(const char *name, const void *head, size_t head_size, const void *entries,
		  size_t entries_size);
/* Reads size bytes at a place. 0; -EBADMSG when there are fewer; or a negative errno. */
int memfile_read(int fd, void *bytes, size_t size, size_t at);
/* 0 when the file is exactly that long, else -EBADMSG or a negative errno. */
int memfile_check_size(int fd, uint64_t size);

#endif
