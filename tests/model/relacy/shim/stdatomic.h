/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_STDATOMIC_H
#define MODEL_STDATOMIC_H

/*
 * In the place of <stdatomic.h>, for sources that run in relacy's machine (compiled with -D_Atomic=)
 *
 * Every operation goes to machine.cc together with the place in the source that it stands in, so that one place's
 * order can be weakened while the machine runs. Only what the modelled sources use is here.
 */

#include "machine.h"

#define ATOMIC_INT_LOCK_FREE 2

#define SITE_(operation) (&(const struct site){ __FILE__, __LINE__, __func__, operation })

#define atomic_load_explicit(at, order) machine_load((at), (order), SITE_("load " #at))
#define atomic_store_explicit(at, value, order) \
	machine_store((at), (value), (order), SITE_("store " #at))
#define atomic_exchange_explicit(at, value, order) \
	machine_exchange((at), (value), (order), SITE_("exchange " #at))
#define atomic_fetch_or_explicit(at, value, order) \
	machine_fetch_or((at), (value), (order), SITE_("fetch_or " #at))
#define atomic_thread_fence(order) machine_fence((order), SITE_("fence"))

#endif
