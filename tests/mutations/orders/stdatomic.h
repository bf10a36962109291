/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ORDERS_STDATOMIC_H
#define ORDERS_STDATOMIC_H

/*
 * In <stdatomic.h>'s place: every atomic access of the sources compiled with it is a call to the model
 * checker (orders.cc), with the order that the source asks for.
 */
#include <stdint.h>

#define ATOMIC_INT_LOCK_FREE 2

/* As the compiler numbers them. */
typedef enum {
	memory_order_relaxed,
	memory_order_consume,
	memory_order_acquire,
	memory_order_release,
	memory_order_acq_rel,
	memory_order_seq_cst
} memory_order;

uint32_t orders_load(const volatile void *word, int order);
void orders_store(volatile void *word, uint32_t value, int order);
uint32_t orders_or(volatile void *word, uint32_t bits, int order);
uint32_t orders_exchange(volatile void *word, uint32_t value, int order);
void orders_fence(int order);

#define atomic_load_explicit(word, order) orders_load((word), (order))
#define atomic_store_explicit(word, value, order) orders_store((word), (uint32_t)(value), (order))
#define atomic_fetch_or_explicit(word, bits, order) orders_or((word), (bits), (order))
#define atomic_exchange_explicit(word, value, order) orders_exchange((word), (value), (order))
#define atomic_thread_fence(order) orders_fence(order)

#endif
