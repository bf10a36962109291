/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys
 *
 * Finds the entry of a key in the table, with a helpful sentence for one that is not there, and sets values through
 * it, with one form of sentence for all that is refused.
 */
#include "control/config_key.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/nearest.h"

int config_fail(char error[CONFIG_ERROR_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, CONFIG_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

const char *config_shown(const char *text, char out[CONFIG_SHOWN_MAX + 4])
{
	int n = snprintf(out, CONFIG_SHOWN_MAX + 1, "%s", text);

	if (n > CONFIG_SHOWN_MAX)
		memcpy(out + CONFIG_SHOWN_MAX, "...", 4);
	for (char *p = out; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	return out;
}

static size_t names_of(const char *section, const char *names[CONFIG_KEYS_N])
{
	size_t n = 0;

	for (size_t i = 0; i < CONFIG_KEYS_N; i++) {
		if (strcmp(config_keys[i].section, section) == 0)
			names[n++] = config_keys[i].name;
	}
	return n;
}

static const struct config_key *find(const char *section, const char *name)
{
	for (size_t i = 0; i < CONFIG_KEYS_N; i++) {
		if (strcmp(config_keys[i].section, section) == 0 &&
		    strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

/* Where else a key of that name is known; NULL. */
static const char *other_section(const char *name)
{
	for (size_t i = 0; i < CONFIG_KEYS_N; i++) {
		if (strcmp(config_keys[i].name, name) == 0)
			return config_keys[i].section;
	}
	return NULL;
}

/* Known words that go on where this one ends, like password_file for password. */
static size_t longer_words(const char *name, const char *const *names, size_t n, char *out,
			   size_t size)
{
	size_t length = strlen(name);
	size_t used = 0;
	size_t n_found = 0;

	for (size_t i = 0; i < n && length > 0 && used < size; i++) {
		if (strncmp(names[i], name, length) != 0 || names[i][length] != '_')
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s'%s'",
					 n_found++ > 0 ? " or " : "", names[i]);
	}
	return n_found;
}

/* How the sentence about an unknown key ends: the most helpful thing that can be said. */
static void suggest(const char *section, const char *name, char *out, size_t size)
{
	const char *names[CONFIG_KEYS_N];
	size_t n = names_of(section, names);
	const char *near = nearest_word(name, names, n);
	char longer[128];
	size_t used;

	if (other_section(name)) {
		snprintf(out, size, "it belongs in section [%s]", other_section(name));
	} else if (near) {
		snprintf(out, size, "did you mean '%s'?", near);
	} else if (longer_words(name, names, n, longer, sizeof(longer)) > 0) {
		snprintf(out, size, "did you mean %s?", longer);
	} else {
		used = (size_t)snprintf(out, size, "known are");
		for (size_t i = 0; i < n && used < size; i++)
			used += (size_t)snprintf(out + used, size - used, "%s %s", i > 0 ? "," : "",
						 names[i]);
	}
}

const struct config_key *config_key_find(const char *section, const char *name, const char *where,
					 char error[CONFIG_ERROR_MAX])
{
	const struct config_key *key = find(section, name);
	char text[CONFIG_SHOWN_MAX + 4];
	char hint[CONFIG_ERROR_MAX];

	if (key)
		return key;
	suggest(section, name, hint, sizeof(hint));
	config_fail(error, "%s: key '%s' is unknown in section [%s]: %s", where,
		    config_shown(name, text), section, hint);
	return NULL;
}

void *config_key_field(struct config *cfg, const struct config_key *key)
{
	bool in_registry = strcmp(key->section, CONFIG_SECTION_REGISTRY) == 0;

	assert(!in_registry || cfg->registry_shown < cfg->n_registries);
	return (in_registry ? (char *)&cfg->registries[cfg->registry_shown] : (char *)cfg) +
	       key->offset;
}

const void *config_key_field_of(const struct config *cfg, const struct config_key *key)
{
	bool in_registry = strcmp(key->section, CONFIG_SECTION_REGISTRY) == 0;

	return (in_registry ? (const char *)&cfg->registries[cfg->registry_shown]
			    : (const char *)cfg) +
	       key->offset;
}

int config_key_set(struct config *cfg, const struct config_key *key, const char *value,
		   enum config_origin by, const char *where, char error[CONFIG_ERROR_MAX])
{
	char why[CONFIG_ERROR_MAX] = "has a control character";
	char text[CONFIG_SHOWN_MAX + 4];
	struct config_setting s = { cfg, key, value, by, why };
	int r = has_control(value) ? CONFIG_KEY_REFUSED : key->type->set(&s);

	if (r == CONFIG_KEY_REFUSED)
		return config_fail(error, "%s: key '%s': value '%s' %s", where, key->name,
				   config_shown(value, text), why);
	if (r < 0)
		config_fail(error, "%s: key '%s': %s", where, key->name, strerror(-r));
	return r;
}

int config_key_set_defaults(struct config *cfg, const char *section, char error[CONFIG_ERROR_MAX])
{
	int r = 0;

	for (size_t i = 0; i < CONFIG_KEYS_N && r == 0; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->value && strcmp(key->section, section) == 0)
			r = config_key_set(cfg, key, key->value, CONFIG_BY_DEFAULT, "default",
					   error);
	}
	return r;
}
