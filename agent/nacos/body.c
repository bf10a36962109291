/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a body says
 *
 * Bodies are text, JSON or HTML by server version, by layer and by Accept; an answer that should be
 * an object is looked at as one, and everything else only for a line that people may read: the JSON
 * message (of 3.x's error pages, that of the result inside it), the title of a page, or the first
 * line. What comes out of here is printable, whatever the bytes were.
 */
#include "nacos/body.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "nacos/line.h"

/* What Spring writes when it has nothing to say. */
#define NO_MESSAGE "No message available"

/* A message longer than this is cut before its escapes are looked at; the line is shorter still. */
#define MESSAGE_MAX 2048u

void body_read(struct body *body, const char *bytes, size_t n)
{
	body->bytes = n > 0 ? bytes : "";
	body->n = n;
	body->is_object = json_object_read(&body->object, body->bytes, n);
	if (!body->is_object)
		body->object.n_members = 0;
}

char body_first(const struct body *body)
{
	size_t i = 0;

	while (i < body->n && strchr(" \t\r\n", body->bytes[i]) && body->bytes[i])
		i++;
	return i < body->n ? body->bytes[i] : '\0';
}

bool body_code(const struct body *body, long long *out)
{
	const struct json_value *value = json_object_find(&body->object, "code");

	return value && json_value_integer(value, out);
}

size_t body_member_line(const struct json_object *object, const char *name, char *buf, size_t size)
{
	const struct json_value *value = json_object_find(object, name);
	char text[MESSAGE_MAX];

	if (!value || value->type != JSON_STRING)
		return 0;
	return line_first(text, json_value_text(value, text, sizeof(text)), buf, size);
}

/* 3.x puts a whole result object into the message of its error page. */
static size_t nested_message_line(const struct json_object *object, char *buf, size_t size)
{
	const struct json_value *message = json_object_find(object, "message");
	struct json_object inner;
	char text[MESSAGE_MAX];

	if (!message || message->type != JSON_STRING)
		return 0;
	if (!json_object_read(&inner, text, json_value_text(message, text, sizeof(text))))
		return 0;
	return body_member_line(&inner, "message", buf, size);
}

/* A result's message names the kind of trouble, its data what is wrong. */
static size_t add_data(const struct json_object *object, char *buf, size_t n, size_t size)
{
	size_t n_data;

	if (n == 0 || size - n < 4 || !json_object_find(object, "code"))
		return n;
	n_data = body_member_line(object, "data", buf + n + 2, size - n - 2);
	if (n_data > 0)
		memcpy(buf + n, ": ", 2);
	else
		buf[n] = '\0';
	return n_data > 0 ? n + 2 + n_data : n;
}

size_t body_object_line(const struct json_object *object, char *buf, size_t size)
{
	size_t n = nested_message_line(object, buf, size);

	if (n == 0)
		n = add_data(object, buf, body_member_line(object, "message", buf, size), size);
	if (n == 0 || strcmp(buf, NO_MESSAGE) == 0)
		n = body_member_line(object, "error", buf, size);
	return n;
}

/* The text of a page's <title>, without looking for more order than pages have. */
static size_t title_line(const char *body, size_t n, char *buf, size_t size)
{
	static const char tag[] = "<title";
	const char *end = body + n;
	const char *from;
	const char *to;

	for (from = body; (from = memchr(from, '<', (size_t)(end - from))); from++) {
		if ((size_t)(end - from) > sizeof(tag) &&
		    strncasecmp(from, tag, sizeof(tag) - 1) == 0)
			break;
	}
	from = from ? memchr(from, '>', (size_t)(end - from)) : NULL;
	if (!from)
		return 0;
	from++;
	to = memchr(from, '<', (size_t)(end - from));
	return to ? line_first(from, (size_t)(to - from), buf, size) : 0;
}

void body_line(const struct body *body, const char *otherwise, char *buf, size_t size)
{
	size_t n;

	if (body->is_object)
		n = body_object_line(&body->object, buf, size);
	else if (body_first(body) == '<')
		n = title_line(body->bytes, body->n, buf, size);
	else
		n = line_first(body->bytes, body->n, buf, size);
	if (n == 0)
		snprintf(buf, size, "%s", otherwise);
}

void body_status_line(const struct body *body, int status, char *buf, size_t size)
{
	char otherwise[32];

	snprintf(otherwise, sizeof(otherwise), "HTTP %d without a reason", status);
	body_line(body, otherwise, buf, size);
}

void body_nonsense_line(const struct body *body, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "not a Nacos reply: ");

	if (n < size)
		body_line(body, body->n > 0 ? "nothing to read in it" : "an empty body", buf + n,
			  size - n);
}
