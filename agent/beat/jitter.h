/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_JITTER_H
#define BEAT_JITTER_H

#include <stdint.h>

/* A state for the calls below; any number will do, neighbours give unrelated ones. */
uint32_t jitter_seed(uint32_t number);

/* 0..span, both included. */
uint32_t jitter_upto(uint32_t *seed, uint32_t span);

/*
 * How long to wait after so many failures in a row (> 0): 1 s, 2 s, 4 s, 5 s, each +-20 %, never
 * over 5 s.
 */
uint32_t jitter_backoff_ms(uint32_t *seed, uint32_t n_failures);

#endif
