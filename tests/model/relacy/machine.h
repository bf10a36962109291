/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MACHINE_H
#define MODEL_MACHINE_H

/* What the modelled sources, written in C, ask of the machine. */

#include <stdint.h>

typedef enum {
	memory_order_relaxed,
	memory_order_consume,
	memory_order_acquire,
	memory_order_release,
	memory_order_acq_rel,
	memory_order_seq_cst
} memory_order;

/* Where an operation stands, and what it is called in lists: file, function, operation, object. */
struct site {
	const char *file;
	int line;
	const char *function;
	const char *operation;
};

#ifdef __cplusplus
extern "C" {
#endif

uint32_t machine_load(const void *at, memory_order order, const struct site *site);
void machine_store(void *at, uint32_t value, memory_order order, const struct site *site);
uint32_t machine_exchange(void *at, uint32_t value, memory_order order, const struct site *site);
uint32_t machine_fetch_or(void *at, uint32_t value, memory_order order, const struct site *site);
void machine_fence(memory_order order, const struct site *site);
/* The machine may end the thread that passes here. */
void machine_crash_point(const char *name);

#ifdef __cplusplus
}
#endif

#endif
