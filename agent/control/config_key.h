/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_CONFIG_KEY_H
#define CONTROL_CONFIG_KEY_H

/* The table of keys: private to config*.c and config's tests. */

#include <stddef.h>
#include <stdint.h>

#include "control/config.h"

struct config_key;

/* One value on its way into the configuration. */
struct config_setting {
	struct config *cfg;
	const struct config_key *key;
	const char *value;
	enum config_origin by;
	char *why; /* CONFIG_ERROR_MAX; when refused: how "key 'x': value 'y' ..." goes on */
};

/* The value has been refused, and why is written. */
#define CONFIG_KEY_REFUSED 1

struct config_type {
	const char *shown; /* in --help: what kind of value */
	/* 0, CONFIG_KEY_REFUSED or -ENOMEM. */
	int (*set)(const struct config_setting *s);
	/*
	 * One line "key = value" a value; nothing at all when the key is not set. Returns the
	 * number of lines.
	 */
	unsigned int (*print)(const struct config *cfg, const struct config_key *key, int fd);
};

struct config_key {
	const char *section;
	const char *name;
	const struct config_type *type;
	size_t offset; /* in struct config, or in the registry or rule for sections [registry] and [allow] */
	uint32_t min;
	uint32_t max;
	const char *unit;
	const char *value; /* the default, in the file's form; NULL: none */
	const char *help;  /* one sentence */
};

#define CONFIG_SECTION_AGENT "agent"
#define CONFIG_SECTION_REGISTRY "registry"
#define CONFIG_SECTION_ALLOW "allow"
#define CONFIG_KEYS_N 55u

extern const struct config_key config_keys[CONFIG_KEYS_N];

/* Where the key's value is: in cfg itself, or in the registry that is shown. */
void *config_key_field(struct config *cfg, const struct config_key *key);
const void *config_key_field_of(const struct config *cfg, const struct config_key *key);
/*
 * config_section.c: the section of a heading's text, "agent", "registry", "registry NAME" or "allow NAME"; a
 * registry or rule that is new is added. To the file "registry" is the registry named default, and a heading
 * begins something new; to the others it is the first one. 0, -EINVAL with a sentence, or -ENOMEM. *section is
 * one of the names above.
 */
int config_section_enter(struct config *cfg, const char *text, enum config_origin by,
			 const char *where, const char **section, char error[CONFIG_ERROR_MAX]);
/* The key of that name in section; NULL with a sentence when there is none. */
const struct config_key *config_key_find(const char *section, const char *name, const char *where,
					 char error[CONFIG_ERROR_MAX]);
/* 0, -EINVAL with a sentence, or -ENOMEM. */
int config_key_set(struct config *cfg, const struct config_key *key, const char *value,
		   enum config_origin by, const char *where, char error[CONFIG_ERROR_MAX]);
/* Every key of a section to what it is without being set. 0 or -ENOMEM with a sentence. */
int config_key_set_defaults(struct config *cfg, const char *section, char error[CONFIG_ERROR_MAX]);

/* config_check.c: contradictions within [registry NAME] and between them. 0, or -EINVAL with a sentence. */
int config_check_registries(const struct config *cfg, char error[CONFIG_ERROR_MAX]);

/* A sentence. Returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int config_fail(char error[CONFIG_ERROR_MAX], const char *fmt,
						      ...);
/* A value longer than this is cut in sentences about it. */
#define CONFIG_SHOWN_MAX 120
/* A text fit for a sentence: cut, and control characters shown as '?'. */
const char *config_shown(const char *text, char out[CONFIG_SHOWN_MAX + 4]);

/* config_ini.c: reads a file. 0, -EINVAL or another negative errno with a sentence. */
int config_ini_read(struct config *cfg, const char *path, char error[CONFIG_ERROR_MAX]);

#endif
