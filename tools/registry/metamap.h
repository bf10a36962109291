/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_METAMAP_H
#define REGISTRY_METAMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jsonobj;

/* One preserved.* time. */
struct metamap_time {
	bool given;
	bool is_number;
	uint64_t ms;
};

struct metamap {
	char *json;     /* the map as JSON text; NULL reads as "{}" */
	size_t n_chars; /* of all keys and values */
	struct metamap_time beat_interval;
	struct metamap_time beat_timeout;
	struct metamap_time delete_timeout;
	bool never_expires; /* enableClientBeat=true */
	bool breaks_lists;  /* has a key that a server takes for its own, with a value of its own */
};
#define METAMAP_NULL         \
	{                    \
		.json = NULL \
	}

enum {
	METAMAP_BAD = 1
};

/* Reads the parameter of that name: a JSON object of scalars, the word null, or k=v,k=v.
 * NULL is the empty map. Returns 0, METAMAP_BAD or -ENOMEM. */
int metamap_parse(struct metamap *m, const char *text);
/* The same for an object inside parsed JSON. */
int metamap_from_json(struct metamap *m, const struct jsonobj *o, int object);
/* The map of `base` with that of `over` on it, both as JSON texts. Returns 0 or -ENOMEM. */
int metamap_merge(struct metamap *m, const char *base, const char *over);
void metamap_deinit(struct metamap *m);

const char *metamap_json(const struct metamap *m);
uint64_t metamap_ms(const struct metamap_time *t, uint64_t if_absent, uint64_t if_no_number);

#endif
