/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sections
 *
 * [agent] stands once; [registry NAME] and [allow NAME] are made by their headings, each once and with all defaults
 * set. Which of them is meant by the keys that follow is kept in struct config (registry_shown, allow_shown).
 */
#include "control/config_key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <onebeat/onebeat.h>

#include "control/nearest.h"

/* What a registry's name may be made of: the library's rule for the field of that name. */
static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._-";

static int add_registry(struct config *cfg, const char *name, const char *where,
			char error[CONFIG_ERROR_MAX])
{
	struct config_registry *r = &cfg->registries[cfg->n_registries];
	size_t n = strlen(name);

	if (cfg->n_registries == CONFIG_REGISTRIES_MAX)
		return config_fail(error, "%s: section [registry %s]: more than %u registries",
				   where, name, CONFIG_REGISTRIES_MAX);
	if (n > ONEBEAT_REGISTRY_MAX || strspn(name, name_chars) != n)
		return config_fail(
			error,
			"%s: section [registry]: name '%s' is not 1 to %d of A-Z a-z 0-9 . _ -",
			where, name, ONEBEAT_REGISTRY_MAX);
	*r = (struct config_registry){ .name = strdup(name) };
	cfg->registry_shown = cfg->n_registries++;
	return r->name ? config_key_set_defaults(cfg, CONFIG_SECTION_REGISTRY, error) : -ENOMEM;
}

static int find_registry(const struct config *cfg, const char *name, uint32_t *out)
{
	for (uint32_t i = 0; i < cfg->n_registries; i++) {
		if (strcmp(cfg->registries[i].name, name) != 0)
			continue;
		*out = i;
		return 0;
	}
	return -ENOENT;
}

static int enter_registry(struct config *cfg, const char *rest, enum config_origin by,
			  const char *where, char error[CONFIG_ERROR_MAX])
{
	char name[CONFIG_SHOWN_MAX + 4];

	rest += strspn(rest, " \t");
	if (!*rest && by != CONFIG_BY_FILE && cfg->n_registries > 0) {
		cfg->registry_shown = 0;
		return 0;
	}
	config_shown(*rest ? rest : CONFIG_REGISTRY_NAME_DEFAULT, name);
	if (find_registry(cfg, name, &cfg->registry_shown) < 0)
		return add_registry(cfg, name, where, error);
	if (by != CONFIG_BY_FILE)
		return 0;
	return config_fail(
		error,
		"%s: a second section [registry %s]: give it another name; the addresses "
		"of one registry all go into its key 'url'",
		where, name);
}

static int enter_allow(struct config *cfg, const char *rest, const char *where,
		       char error[CONFIG_ERROR_MAX])
{
	char name[CONFIG_SHOWN_MAX + 4];

	config_shown(rest + strspn(rest, " \t"), name);
	if (!name[0])
		return config_fail(error, "%s: section [allow] has no name: [allow NAME]", where);
	for (uint32_t i = 0; i < cfg->allow.n_rules; i++) {
		if (strcmp(cfg->allow.rules[i]->name, name) == 0)
			return config_fail(error,
					   "%s: a second section [allow %s]: give it another name",
					   where, name);
	}
	if (cfg->allow.n_rules == ALLOW_RULES_MAX)
		return config_fail(error, "%s: more than %u sections [allow NAME]", where,
				   ALLOW_RULES_MAX);
	cfg->allow_shown = cfg->allow.n_rules;
	return allow_add(&cfg->allow, name) ? 0 : -ENOMEM;
}

int config_section_enter(struct config *cfg, const char *text, enum config_origin by,
			 const char *where, const char **section, char error[CONFIG_ERROR_MAX])
{
	static const char *const known[] = { CONFIG_SECTION_AGENT, CONFIG_SECTION_REGISTRY,
					     CONFIG_SECTION_ALLOW };
	size_t n = strcspn(text, " \t");
	char word[CONFIG_SHOWN_MAX + 4];
	const char *near;

	if (strcmp(text, CONFIG_SECTION_AGENT) == 0) {
		*section = CONFIG_SECTION_AGENT;
		return 0;
	}
	if (n == strlen(CONFIG_SECTION_REGISTRY) &&
	    strncmp(text, CONFIG_SECTION_REGISTRY, n) == 0) {
		*section = CONFIG_SECTION_REGISTRY;
		return enter_registry(cfg, text + n, by, where, error);
	}
	if (n == strlen(CONFIG_SECTION_ALLOW) && strncmp(text, CONFIG_SECTION_ALLOW, n) == 0) {
		*section = CONFIG_SECTION_ALLOW;
		return enter_allow(cfg, text + n, where, error);
	}
	snprintf(word, sizeof(word), "%.*s", (int)(n < CONFIG_SHOWN_MAX ? n : CONFIG_SHOWN_MAX),
		 text);
	near = nearest_word(word, known, 3);
	if (near)
		return config_fail(error, "%s: section [%s] is unknown: did you mean [%s]?", where,
				   config_shown(text, word), near);
	return config_fail(
		error,
		"%s: section [%s] is unknown: known are [agent], [registry NAME] and [allow NAME]",
		where, config_shown(text, word));
}
