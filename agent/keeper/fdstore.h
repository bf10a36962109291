/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_FDSTORE_H
#define KEEPER_FDSTORE_H

#include <stdint.h>

#include "keeper/activation.h"
#include "keeper/holdings.h"

/*
 * Gives what is held to the service manager to keep, when it keeps descriptors (FDSTORE in the environment
 * tells how many), and waits until it has them.
 */
void fdstore_save(const struct holdings *h);
/*
 * Takes what an earlier run has given to keep; what is no such thing is closed, and the manager told to forget
 * it. The number taken.
 */
uint32_t fdstore_restore(struct activation *a, struct holdings *h);
/* The manager's duplicates go: from here on a lease that we close is closed. */
void fdstore_forget(const struct holdings *restored);

#endif
