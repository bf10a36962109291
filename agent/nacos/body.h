/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_BODY_H
#define NACOS_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include "nacos/json.h"

/* A reply's body, borrowed. */
struct body {
	const char *bytes; /* never NULL */
	size_t n;
	bool is_object;
	struct json_object object; /* empty when it is none */
};

void body_read(struct body *body, const char *bytes, size_t n);
/* The first character that is no blank; 0 when there is none. */
char body_first(const struct body *body);
/* The code of a result; false when there is none, or no integer. */
bool body_code(const struct body *body, long long *out);

/* A string member as a line. Its length; 0, and buf as it may be, when it is missing, empty or no string. */
size_t body_member_line(const struct json_object *object, const char *name, char *buf, size_t size);
/* What an object says went wrong, as a line. Its length; 0, and buf as it may be, when it says nothing. */
size_t body_object_line(const struct json_object *object, char *buf, size_t size);
/* What any body says, as a line: message, title or first line; otherwise, when it says nothing. */
void body_line(const struct body *body, const char *otherwise, char *buf, size_t size);
/* The same, for a reply of a bad status. */
void body_status_line(const struct body *body, int status, char *buf, size_t size);
/* The same, for a 200 that makes no sense: "not a Nacos reply: ...". */
void body_nonsense_line(const struct body *body, char *buf, size_t size);

#endif
