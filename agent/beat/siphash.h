/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_SIPHASH_H
#define BEAT_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * A hash in the making: init, add, add, ..., end. How the bytes are cut into adds does not matter.
 */
struct siphash {
	uint64_t v[4];
	uint64_t word; /* bytes that do not fill eight yet */
	uint64_t n_bytes;
};

void siphash_init(struct siphash *s, const uint64_t key[2]);
void siphash_add(struct siphash *s, const void *data, size_t size);
uint64_t siphash_end(struct siphash *s);

#endif
