/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_JSONOBJ_H
#define REGISTRY_JSONOBJ_H

#include <stdbool.h>

struct jsonobj {
	const char *text;
	void *tokens; /* of a type that only jsonobj.c sees */
	int n_tokens;
};
#define JSONOBJ_NULL         \
	{                    \
		.text = NULL \
	}

enum {
	JSONOBJ_BAD = 1
};

/* Parses text, which must outlive the object and be a JSON object at its root.
 * Returns 0, JSONOBJ_BAD or -ENOMEM. */
int jsonobj_init(struct jsonobj *o, const char *text);
void jsonobj_deinit(struct jsonobj *o);

/* Walks the members of the object at token `object` (0 is the root):
 * for (key = jsonobj_first(o, obj); key; key = jsonobj_next(o, obj, key))
 * The value of a member is token key + 1. */
int jsonobj_first(const struct jsonobj *o, int object);
int jsonobj_next(const struct jsonobj *o, int object, int key);
bool jsonobj_is_object(const struct jsonobj *o, int token);
bool jsonobj_is_null(const struct jsonobj *o, int token);
bool jsonobj_key_is(const struct jsonobj *o, int key, const char *name);

/* The text of a string, number or boolean, decoded; the caller frees it. NULL: it is an object,
 * an array or null, or memory ran out. */
char *jsonobj_text(const struct jsonobj *o, int token);
/* A token as it stands there, with what is escaped; the caller frees it. NULL: no memory. */
char *jsonobj_raw(const struct jsonobj *o, int token);

#endif
