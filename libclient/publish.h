/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_PUBLISH_H
#define ONEBEAT_PUBLISH_H

#include "handle.h"

/*
 * Publishes the next version in a slot: a descriptor, or (NULL) the withdrawal. 0; -EAGAIN-like trouble with the
 * bell is no error, a lost lease is: a negative errno, and the version stands all the same.
 */
int onebeat__publish(struct onebeat *ob, struct place *place, const struct encoded *descriptor);

#endif
