/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values in [allow NAME]
 *
 * Lists of users, groups, service patterns, networks and ports. What they mean is allow.c's; here they are only
 * set and printed. Which list a key is stands in its table entry, as the place of its text in the rule.
 */
#include <stdio.h>
#include <string.h>

#include "control/config_value.h"

static struct allow_rule *rule_of(const struct config *cfg)
{
	return cfg->allow.rules[cfg->allow_shown];
}

static enum allow_list list_of(const struct config_key *key)
{
	return (enum allow_list)((key->offset - offsetof(struct allow_rule, texts)) /
				 sizeof(char *));
}

static int set_list(const struct config_setting *s)
{
	int r;

	if (strpbrk(s->value, ";#")) {
		snprintf(s->why, CONFIG_ERROR_MAX, "is not a list without ';' and '#'");
		return CONFIG_KEY_REFUSED;
	}
	r = allow_set(rule_of(s->cfg), list_of(s->key), s->value, s->why, CONFIG_ERROR_MAX);
	return r == ALLOW_REFUSED ? CONFIG_KEY_REFUSED : r;
}

static unsigned int print_list(const struct config *cfg, const struct config_key *key, int fd)
{
	const char *text = rule_of(cfg)->texts[list_of(key)];

	if (!text)
		return 0;
	dprintf(fd, "%s = %s\n", key->name, text);
	return 1;
}

const struct config_type config_value_allow = { "ITEM[,ITEM]...", set_list, print_list };

static int set_join(const struct config_setting *s)
{
	bool join = strcmp(s->value, "yes") == 0;

	if (!join && strcmp(s->value, "no") != 0) {
		snprintf(s->why, CONFIG_ERROR_MAX, "is not one of yes, no");
		return CONFIG_KEY_REFUSED;
	}
	rule_of(s->cfg)->join = join;
	return 0;
}

static unsigned int print_join(const struct config *cfg, const struct config_key *key, int fd)
{
	dprintf(fd, "%s = %s\n", key->name, rule_of(cfg)->join ? "yes" : "no");
	return 1;
}

const struct config_type config_value_join = { "yes|no", set_join, print_join };
