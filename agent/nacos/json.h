/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_JSON_H
#define NACOS_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_MEMBERS_MAX 32u

enum json_type {
	JSON_STRING,
	JSON_PRIMITIVE,
	JSON_NESTED
};

/*
 * Borrowed from the text that was read; a string's without its quotes, its escapes as they stand.
 */
struct json_value {
	enum json_type type;
	const char *at;
	size_t n;
};

/* The members of one object; what is nested in them is left alone. */
struct json_object {
	size_t n_members;
	struct {
		struct json_value key;
		struct json_value value;
	} members[JSON_MEMBERS_MAX];
};

/* True when the whole text, any bytes, is one JSON object of few enough parts. */
bool json_object_read(struct json_object *out, const char *text, size_t n);
/* The same for one of many more parts in whatever is nested in it; takes memory for the time of the call. */
bool json_object_read_any(struct json_object *out, const char *text, size_t n);
/* The items of a nested value that is an array of at most max. False when it is not. */
bool json_array_read(const struct json_value *array, struct json_value *items, size_t max,
		     size_t *n_items);
/* The last member of that name, as Java's readers take it; NULL when there is none. */
const struct json_value *json_object_find(const struct json_object *object, const char *name);
/* True when the value is an integer that fits. */
bool json_value_integer(const struct json_value *value, long long *out);
/*
 * A string's bytes with the escapes undone, as many as fit, not ended by a NUL. Returns how many.
 */
size_t json_value_text(const struct json_value *value, char *buf, size_t size);

#endif
