/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration on paper
 *
 * The printed configuration is a file that can be used: every key stands there with its meaning,
 * and the ones that are not set stand as comments.
 */
#include <stdio.h>
#include <string.h>

#include "control/config_key.h"

/* "range, unit, default" as far as there is something to say. */
static void describe(const struct config_key *key, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	if (key->max > 0)
		n = (size_t)snprintf(out, size, " %u..%u %s", key->min, key->max, key->unit);
	if (key->value && n < size)
		snprintf(out + n, size - n, "%s default %s", n > 0 ? "," : "", key->value);
}

static void print_key(const struct config *cfg, const struct config_key *key, int fd)
{
	char about[128];

	describe(key, about, sizeof(about));
	dprintf(fd, "\n# %s%s%s%s\n", key->help, about[0] ? " (" : "", about[0] ? about + 1 : "",
		about[0] ? ")" : "");
	if (key->type->print(cfg, key, fd) == 0)
		dprintf(fd, "# %s =\n", key->name);
}

static void print_section(const struct config *cfg, const char *section, int fd)
{
	for (size_t i = 0; i < CONFIG_KEYS_N; i++) {
		if (strcmp(config_keys[i].section, section) == 0)
			print_key(cfg, &config_keys[i], fd);
	}
}

static void print_registry(const struct config *cfg, uint32_t registry, int fd)
{
	struct config one = *cfg;

	one.registry_shown = registry;
	dprintf(fd, "\n[" CONFIG_SECTION_REGISTRY " %s]\n", cfg->registries[registry].name);
	print_section(&one, CONFIG_SECTION_REGISTRY, fd);
}

static void print_rule(const struct config *cfg, uint32_t rule, int fd)
{
	struct config one = *cfg;

	one.allow_shown = rule;
	dprintf(fd, "\n[" CONFIG_SECTION_ALLOW " %s]\n", cfg->allow.rules[rule]->name);
	print_section(&one, CONFIG_SECTION_ALLOW, fd);
}

void config_print(const struct config *cfg, int fd)
{
	dprintf(fd, "# onebeatd: the configuration in force%s%s\n\n[" CONFIG_SECTION_AGENT "]\n",
		cfg->file ? ", read from " : "", cfg->file ? cfg->file : "");
	print_section(cfg, CONFIG_SECTION_AGENT, fd);
	for (uint32_t i = 0; i < cfg->n_registries; i++)
		print_registry(cfg, i, fd);
	for (uint32_t i = 0; i < cfg->allow.n_rules; i++)
		print_rule(cfg, i, fd);
}

void config_help(int fd)
{
	const char *section = "";
	char about[128];

	for (size_t i = 0; i < CONFIG_KEYS_N; i++) {
		const struct config_key *key = &config_keys[i];

		if (strcmp(section, key->section) != 0)
			dprintf(fd, "%s[%s]\n", i > 0 ? "\n" : "", key->section);
		section = key->section;
		describe(key, about, sizeof(about));
		dprintf(fd, "  %s = %s%s%s\n      %s\n", key->name, key->type->shown,
			about[0] ? "  " : "", about[0] ? about + 1 : "", key->help);
	}
}
