/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_CELLS_H
#define SEGMENT_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#define CELLS_HEAD 12u /* bytes in front of a cell's data */

/* A record's size when its data may be max bytes: two cells, side by side. */
static inline uint32_t cells_size(uint32_t max)
{
	return 2 * (CELLS_HEAD + ((max + 3) & ~UINT32_C(3)));
}

/*
 * record: cells_size(max) bytes, 4-byte aligned; zeros are a record that is not there. Lengths are in
 * bytes, multiples of 4, at most max. After a crash at any instruction of a put, get finds the data of
 * before or the data of after; after one in a drop, the data of before or none.
 */
void cells_put(void *record, uint32_t max, const void *data, uint32_t length);
/* The newest data, at most max bytes, and its length; false when there is none. */
bool cells_get(const void *record, uint32_t max, void *data, uint32_t *length);
void cells_drop(void *record, uint32_t max);

#endif
