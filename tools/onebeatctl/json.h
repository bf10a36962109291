/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEATCTL_JSON_H
#define ONEBEATCTL_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* One parsed line; values are named by their number, -1 for none. Number 0 is the line itself. */
struct json {
	const char *line;
	void *tokens;
	int n_tokens;
};

bool json_parse(struct json *doc, const char *line, size_t n);
void json_free(struct json *doc);

/* The member of an object, the element of an array, how many it has. */
int json_member(const struct json *doc, int object, const char *name);
int json_element(const struct json *doc, int array, int index);
int json_size(const struct json *doc, int value);
/* The i-th member's name (its value is the number returned). -1 when there is none. */
int json_member_at(const struct json *doc, int object, int index, char *name, size_t size);

/* A string without its escapes, or a primitive as it stands; false and "" when there is no such value. */
bool json_text(const struct json *doc, int value, char *buf, size_t size);
double json_number(const struct json *doc, int value, double otherwise);

#endif
