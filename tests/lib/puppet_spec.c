/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance's description in words
 *
 * The words are kept, not the struct: an update names what changes, and the rest stays as it was told
 * before. Nothing is judged here but spelling, because it is the library whose judgement is wanted.
 */
#include "lib/puppet_spec.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static void set_text(void *field, const char *value)
{
	*(const char **)field = value;
}

static void set_u32(void *field, const char *value)
{
	*(uint32_t *)field = (uint32_t)strtoul(value, NULL, 0);
}

static void set_int(void *field, const char *value)
{
	*(int *)field = (int)strtol(value, NULL, 0);
}

static void set_double(void *field, const char *value)
{
	*(double *)field = strtod(value, NULL);
}

static void set_policy(void *field, const char *value)
{
	if (strcmp(value, "owner") == 0)
		*(uint32_t *)field = ONEBEAT_OWNER;
	else if (strcmp(value, "any") == 0)
		*(uint32_t *)field = ONEBEAT_ANY_HOLDER;
	else
		set_u32(field, value);
}

static void set_when_listening(void *field, const char *value)
{
	if (strcmp(value, "0") != 0)
		*(uint32_t *)field |= ONEBEAT_WHEN_LISTENING;
}

static const struct key {
	const char *name;
	size_t offset;
	void (*set)(void *field, const char *value);
} keys[] = {
	{ "service", offsetof(struct onebeat_spec, service), set_text },
	{ "group", offsetof(struct onebeat_spec, group), set_text },
	{ "cluster", offsetof(struct onebeat_spec, cluster), set_text },
	{ "ns", offsetof(struct onebeat_spec, namespace_id), set_text },
	{ "registry", offsetof(struct onebeat_spec, registry), set_text },
	{ "ip", offsetof(struct onebeat_spec, ip), set_text },
	{ "port", offsetof(struct onebeat_spec, port), set_u32 },
	{ "flags", offsetof(struct onebeat_spec, flags), set_u32 },
	{ "when_listening", offsetof(struct onebeat_spec, flags), set_when_listening },
	{ "weight", offsetof(struct onebeat_spec, weight), set_double },
	{ "enabled", offsetof(struct onebeat_spec, enabled), set_int },
	{ "ephemeral", offsetof(struct onebeat_spec, ephemeral), set_int },
	{ "policy", offsetof(struct onebeat_spec, policy), set_policy },
	{ "beat_ms", offsetof(struct onebeat_spec, beat_ms), set_u32 },
	{ "progress_ms", offsetof(struct onebeat_spec, progress_timeout_ms), set_u32 },
};

#define METADATA_PREFIX "md."

static bool is_metadata(const char *key)
{
	return strncmp(key, METADATA_PREFIX, strlen(METADATA_PREFIX)) == 0;
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return tolower((unsigned char)c) - 'a' + 10;
}

/* %XX becomes the byte; in place. */
static void decode(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (from[0] == '%' && isxdigit((unsigned char)from[1]) &&
		    isxdigit((unsigned char)from[2])) {
			*to++ = (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* Where the key's word is, or a fresh place; -1: no room. */
static int place_of(struct puppet_spec *s, const char *key)
{
	for (int i = 0; i < s->n_words; i++) {
		if (strcmp(s->words[i].key, key) == 0)
			return i;
	}
	return s->n_words < PUPPET_SPEC_WORDS_MAX ? s->n_words++ : -1;
}

static bool take_word(struct puppet_spec *s, const char *word)
{
	const char *equals = strchr(word, '=');
	char *key;
	int i;

	if (!equals)
		return false;
	key = strndup(word, (size_t)(equals - word));
	if (!key)
		abort();
	i = find_key(key) || is_metadata(key) ? place_of(s, key) : -1;
	if (i < 0) {
		free(key);
		return false;
	}
	free(s->words[i].key);
	free(s->words[i].value);
	s->words[i].key = key;
	s->words[i].value = strdup(equals + 1);
	if (!s->words[i].value)
		abort();
	decode(s->words[i].value);
	return true;
}

const char *puppet_spec_take(struct puppet_spec *s, char **words)
{
	for (; *words; words++) {
		if (!take_word(s, *words))
			return *words;
	}
	return NULL;
}

struct onebeat_spec puppet_spec_build(struct puppet_spec *s)
{
	struct onebeat_spec spec = onebeat_spec_init();

	spec.metadata = s->metadata;
	for (int i = 0; i < s->n_words; i++) {
		const struct key *key = find_key(s->words[i].key);

		if (key) {
			key->set((char *)&spec + key->offset, s->words[i].value);
			continue;
		}
		s->metadata[spec.n_metadata].key = s->words[i].key + strlen(METADATA_PREFIX);
		s->metadata[spec.n_metadata++].value = s->words[i].value;
	}
	return spec;
}

void puppet_spec_deinit(struct puppet_spec *s)
{
	for (int i = 0; i < s->n_words; i++) {
		free(s->words[i].key);
		free(s->words[i].value);
	}
	s->n_words = 0;
}
