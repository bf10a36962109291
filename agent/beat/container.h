/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_CONTAINER_H
#define BEAT_CONTAINER_H

#include <stddef.h>

/*
 * From a member to the struct around it. liburcu's caa_container_of() casts const away, which clang
 * reports.
 */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
