/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instance metadata
 *
 * The server side of metadata is small: it is listed as it came and some reserved keys steer
 * beats and expiry. So what is kept is the map's rendered JSON and the parsed reserved keys, not
 * the map. A repeated key is rendered twice, which readers of JSON resolve as the last one, and
 * the last one steers here too.
 */
#include "metamap.h"

#include "jsonobj.h"
#include "sbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct builder {
	struct metamap *map;
	struct sbuf json;
};

/* Time-outs are digit strings; 18 digits fit whatever they say. */
static struct metamap_time parse_time(const char *value)
{
	size_t n = value ? strspn(value, "0123456789") : 0;
	bool is_number = n > 0 && n <= 18 && value[n] == '\0';

	return (struct metamap_time){
		.given = true,
		.is_number = is_number,
		.ms = is_number ? strtoull(value, NULL, 10) : 0,
	};
}

/* A NULL value is JSON's null. */
static void add_pair(struct builder *b, const char *key, const char *value)
{
	struct metamap *m = b->map;

	sbuf_add(&b->json, b->json.len ? "," : "{");
	sbuf_json(&b->json, key);
	sbuf_add(&b->json, ":");
	if (value)
		sbuf_json(&b->json, value);
	else
		sbuf_add(&b->json, "null");
	m->n_chars += sbuf_java_length(key) + (value ? sbuf_java_length(value) : 0);

	if (strcmp(key, "preserved.heart.beat.interval") == 0)
		m->beat_interval = parse_time(value);
	else if (strcmp(key, "preserved.heart.beat.timeout") == 0)
		m->beat_timeout = parse_time(value);
	else if (strcmp(key, "preserved.ip.delete.timeout") == 0)
		m->delete_timeout = parse_time(value);
	else if (strcmp(key, "enableClientBeat") == 0)
		m->never_expires = value && strcmp(value, "true") == 0;
	else if (strcmp(key, "publishInstanceWeight") == 0 ||
		 strcmp(key, "publishInstanceEnable") == 0)
		m->breaks_lists = true;
}

static int finish(struct builder *b, int r)
{
	if (r == 0 && b->json.len)
		sbuf_add(&b->json, "}");
	if (r == 0 && b->json.failed)
		r = -ENOMEM;
	if (r != 0) {
		sbuf_deinit(&b->json);
		metamap_deinit(b->map);
		return r;
	}
	b->map->json = b->json.data;
	return 0;
}

static int add_member(struct builder *b, const struct jsonobj *o, int key)
{
	char *name = jsonobj_text(o, key), *value = jsonobj_text(o, key + 1);
	int r = 0;

	if (!value && !jsonobj_is_null(o, key + 1))
		r = METAMAP_BAD;
	else if (!name)
		r = -ENOMEM;
	else
		add_pair(b, name, value);
	free(name);
	free(value);
	return r;
}

int metamap_from_json(struct metamap *m, const struct jsonobj *o, int object)
{
	struct builder b = { .map = m, .json = SBUF_NULL };
	int r = 0;

	*m = (struct metamap)METAMAP_NULL;
	if (jsonobj_is_null(o, object))
		return 0;
	if (!jsonobj_is_object(o, object))
		return METAMAP_BAD;
	for (int key = jsonobj_first(o, object); key && r == 0; key = jsonobj_next(o, object, key))
		r = add_member(&b, o, key);
	return finish(&b, r);
}

/* One k=v. Neither a value is left out nor a second = allowed, but for those at the very end. */
static int add_plain(struct builder *b, char *item)
{
	size_t len = strlen(item);
	char *equals = strchr(item, '=');

	while (len && item[len - 1] == '=')
		item[--len] = '\0';
	if (!equals || equals >= item + len || strchr(equals + 1, '='))
		return METAMAP_BAD;
	*equals = '\0';
	add_pair(b, item, equals + 1);
	return 0;
}

static int parse_plain(struct metamap *m, const char *text)
{
	struct builder b = { .map = m, .json = SBUF_NULL };
	char *copy = strdup(text), *rest = copy, *item;
	size_t len = strlen(text);
	int r = copy ? 0 : -ENOMEM;

	while (copy && len && copy[len - 1] == ',')
		copy[--len] = '\0';
	while (r == 0 && len && (item = strsep(&rest, ",")) != NULL)
		r = add_plain(&b, item);
	free(copy);
	return finish(&b, r);
}

int metamap_parse(struct metamap *m, const char *text)
{
	struct jsonobj o;
	int r;

	*m = (struct metamap)METAMAP_NULL;
	if (!text)
		return 0;
	if (strcmp(text, "null") == 0) {
		m->json = strdup("null");
		return m->json ? 0 : -ENOMEM;
	}
	r = jsonobj_init(&o, text);
	if (r == 0)
		r = metamap_from_json(m, &o, 0);
	jsonobj_deinit(&o);
	return r > 0 ? parse_plain(m, text) : r;
}

static bool has_key(const struct jsonobj *o, const char *name)
{
	for (int key = jsonobj_first(o, 0); key; key = jsonobj_next(o, 0, key))
		if (jsonobj_key_is(o, key, name))
			return true;
	return false;
}

/* Adds the members of `from` that are not hidden by one of `over`. */
static int add_visible(struct builder *b, const struct jsonobj *from, const struct jsonobj *over)
{
	int r = 0;

	for (int key = jsonobj_first(from, 0); key && r == 0; key = jsonobj_next(from, 0, key)) {
		char *name = jsonobj_raw(from, key);

		if (!name)
			r = -ENOMEM;
		else if (!over || !has_key(over, name))
			r = add_member(b, from, key);
		free(name);
	}
	return r;
}

int metamap_merge(struct metamap *m, const char *base, const char *over)
{
	struct builder b = { .map = m, .json = SBUF_NULL };
	struct jsonobj below, above;
	int r;

	*m = (struct metamap)METAMAP_NULL;
	/* A map that is the word null has no members. */
	r = jsonobj_init(&below, strcmp(base, "null") == 0 ? "{}" : base);
	if (jsonobj_init(&above, strcmp(over, "null") == 0 ? "{}" : over) != 0 || r != 0)
		r = -ENOMEM;
	if (r == 0)
		r = add_visible(&b, &below, &above);
	if (r == 0)
		r = add_visible(&b, &above, NULL);
	jsonobj_deinit(&below);
	jsonobj_deinit(&above);
	return finish(&b, r);
}

void metamap_deinit(struct metamap *m)
{
	free(m->json);
	*m = (struct metamap)METAMAP_NULL;
}

const char *metamap_json(const struct metamap *m)
{
	return m->json ? m->json : "{}";
}

uint64_t metamap_ms(const struct metamap_time *t, uint64_t if_absent, uint64_t if_no_number)
{
	if (!t->given)
		return if_absent;
	return t->is_number ? t->ms : if_no_number;
}
