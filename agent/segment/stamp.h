/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_STAMP_H
#define SEGMENT_STAMP_H

#include <stdint.h>

#define STAMP_SIZES 16u

/* The first bytes of a file that is good for one boot, one format and one geometry. */
struct stamp {
	uint8_t magic[8];
	uint32_t byte_order;
	uint32_t format;
	uint32_t n_slots;
	uint32_t sizes[STAMP_SIZES]; /* of tables and records */
	char boot_id[40];
	uint8_t reserved[256 - 124 - 4];
	uint32_t check; /* CRC-32C over the words above, stored last */
};

_Static_assert(sizeof(struct stamp) == 256, "a stamp is 256 bytes");

enum {
	STAMP_KEPT = 0,
	STAMP_FRESH = 1
};

/* Fills in boot id and check; the rest is the caller's, zeros where nothing is said. */
int stamp_complete(struct stamp *s);
/* Opens path if it begins with this stamp, else makes a new, empty file (0600) in its place. STAMP_KEPT,
 * STAMP_FRESH and *fd; or a negative errno. */
int stamp_open(const char *path, const struct stamp *want, int *fd);
/* Reads path's stamp without touching the file. 0; -ENOENT: none, or not one that only we can have written whole. */
int stamp_look(const char *path, struct stamp *out);
/* Writes the stamp into a mapped, fresh file: from here on it will be kept. */
void stamp_write(void *base, const struct stamp *s);

#endif
