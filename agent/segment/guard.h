/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_GUARD_H
#define SEGMENT_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* From here on, a page that is lost in a guarded range reads as zeros and what is written there is lost too;
 * without it, the process dies. 0 or a negative errno. */
int guard_install(void);
/* SIGBUS means again what it meant before. Nothing happens when the guard is not installed. */
void guard_uninstall(void);

/* Guards a mapping of a file, readable and writable, that begins on a page; until guard_remove(). -ENOSPC: there
 * are too many. */
int guard_add(void *base, size_t size);
/* Before the mapping goes. Nothing happens for one that is not guarded. */
void guard_remove(void *base);
/* How many of its pages are lost; 0 for a range that is not guarded. Any thread. */
uint32_t guard_n_lost(const void *base);

#endif
