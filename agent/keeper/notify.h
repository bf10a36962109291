/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_NOTIFY_H
#define KEEPER_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#define NOTIFY_FDS_MAX 253u /* the kernel's bound for one message */

/*
 * Tells the service manager that started us ("READY=1"), as sd_notify(3) does. 0 (also without
 * one), or a negative errno.
 */
int notify_manager(const char *state);
/* The same with descriptors, at most NOTIFY_FDS_MAX, which stay ours. */
int notify_manager_fds(const char *state, const int *fds, size_t n_fds);
/*
 * Waits until the manager has taken all that was said, at most so long: a manager asks who we are when it
 * reads, and by then we must still be there. 0 (also without one), -ETIMEDOUT, or a negative errno.
 */
int notify_barrier(uint32_t wait_ms);

#endif
