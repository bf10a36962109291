/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration
 *
 * Four origins, each above the one before: defaults, file, environment, command line. All of them
 * speak through the table of keys, so a value is judged alike wherever it comes from. What is
 * judged key by key is judged at once, with the place where it was said; what only the whole can
 * tell waits for config_check(), because the command line may still mend it.
 *
 * Read once, at the start, before anything is bound; afterwards it never changes, and any thread
 * may read it.
 */
#include "control/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cidr.h"
#include "control/config_key.h"

#define RUNTIME_DIR_VARIABLE "ONEBEAT_RUNTIME_DIR"
#define REGISTRY_VARIABLE "ONEBEAT_REGISTRY"
#define XDG_VARIABLE "XDG_RUNTIME_DIR"

/* A variable that is empty counts as absent, as everywhere else. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int set(struct config *cfg, const char *section, const char *name, const char *value,
	       enum config_origin by, const char *where, char error[CONFIG_ERROR_MAX])
{
	const struct config_key *key;
	int r = config_section_enter(cfg, section, by, where, &section, error);

	if (r < 0)
		return r;
	key = config_key_find(section, name, where, error);
	return key ? config_key_set(cfg, key, value, by, where, error) : -EINVAL;
}

int config_set(struct config *cfg, const char *section, const char *key, const char *value,
	       const char *where, char error[CONFIG_ERROR_MAX])
{
	return set(cfg, section, key, value, CONFIG_BY_COMMAND, where, error);
}

static int read_file(struct config *cfg, const char *file, char error[CONFIG_ERROR_MAX])
{
	const char *path = file ? file : CONFIG_FILE_DEFAULT;

	if (!file && access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	cfg->file = strdup(path);
	return cfg->file ? config_ini_read(cfg, path, error) : -ENOMEM;
}

static int read_environment(struct config *cfg, char error[CONFIG_ERROR_MAX])
{
	const char *dir = variable(RUNTIME_DIR_VARIABLE);
	const char *registry = variable(REGISTRY_VARIABLE);
	int r = 0;

	if (dir)
		r = set(cfg, CONFIG_SECTION_AGENT, "runtime_dir", dir, CONFIG_BY_ENVIRONMENT,
			RUNTIME_DIR_VARIABLE, error);
	if (r == 0 && registry)
		r = set(cfg, CONFIG_SECTION_REGISTRY, "url", registry, CONFIG_BY_ENVIRONMENT,
			REGISTRY_VARIABLE, error);
	return r;
}

/*
 * The system's folder for those who may write there: root makes it, others need it made for them.
 */
static bool may_use_system_dir(void)
{
	return geteuid() == 0 ||
	       faccessat(AT_FDCWD, CONFIG_RUNTIME_DIR_DEFAULT, W_OK | X_OK, AT_EACCESS) == 0;
}

static int choose_runtime_dir(struct config *cfg, char error[CONFIG_ERROR_MAX])
{
	const char *xdg = variable(XDG_VARIABLE);
	char dir[4096] = CONFIG_RUNTIME_DIR_DEFAULT;

	if (cfg->runtime_dir)
		return 0;
	if (!may_use_system_dir()) {
		if (!xdg)
			return 0; /* the command line may name one; else config_check() tells */
		snprintf(dir, sizeof(dir), "%s/onebeat", xdg);
	}
	return set(cfg, CONFIG_SECTION_AGENT, "runtime_dir", dir, CONFIG_BY_DEFAULT, XDG_VARIABLE,
		   error);
}

int config_load(struct config *cfg, const char *file, char error[CONFIG_ERROR_MAX])
{
	int r;

	*cfg = (struct config){ 0 };
	snprintf(error, CONFIG_ERROR_MAX, "out of memory");
	r = config_key_set_defaults(cfg, CONFIG_SECTION_AGENT, error);
	if (r == 0)
		r = read_file(cfg, file, error);
	if (r == 0)
		r = read_environment(cfg, error);
	if (r == 0)
		r = choose_runtime_dir(cfg, error);
	if (r == 0)
		error[0] = '\0';
	return r;
}

static bool ip_contradicts_cidr(const struct config *cfg)
{
	struct cidr_address address;
	struct cidr network;

	return cfg->ip && cfg->cidr && cidr_address_parse(cfg->ip, &address) &&
	       cidr_parse(cfg->cidr, &network) == 0 && !cidr_contains(&network, &address);
}

int config_check(const struct config *cfg, char error[CONFIG_ERROR_MAX])
{
	if (cfg->n_registries == 0)
		return config_fail(
			error,
			"no registry: give its address as url in section [registry] of %s, "
			"in " REGISTRY_VARIABLE ", or with --registry",
			cfg->file ? cfg->file : CONFIG_FILE_DEFAULT);
	if (!cfg->runtime_dir) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "no runtime folder: " CONFIG_RUNTIME_DIR_DEFAULT
			 " is not writable and " XDG_VARIABLE
			 " is not set: name one with --runtime-dir or " RUNTIME_DIR_VARIABLE);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < cfg->allow.n_rules; i++) {
		const struct allow_rule *rule = cfg->allow.rules[i];

		if (rule->n[ALLOW_UID] > 0 || rule->n[ALLOW_GID] > 0)
			continue;
		snprintf(
			error, CONFIG_ERROR_MAX,
			"section [allow %s] is for nobody: give it a uid or gid (uid = * is everybody)",
			rule->name);
		return -EINVAL;
	}
	if (ip_contradicts_cidr(cfg)) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "keys 'ip' and 'cidr' contradict each other: %s is not in %s", cfg->ip,
			 cfg->cidr);
		return -EINVAL;
	}
	return config_check_registries(cfg, error);
}

static void deinit_secret(struct config_secret *s)
{
	free(s->file);
	free(s->credential);
	free(s->env);
}

static void deinit_registry(struct config_registry *r)
{
	for (uint32_t i = 0; i < r->n_urls; i++)
		free(r->urls[i]);
	deinit_secret(&r->password);
	deinit_secret(&r->secret_key);
	free(r->name);
	free(r->endpoint);
	free(r->domain);
	free(r->proxy);
	free(r->username);
	free(r->access_key);
	free(r->region);
	free(r->ca_file);
	free(r->client_cert);
	free(r->client_key);
	free(r->server_name);
	free(r->namespace_id);
	free(r->context_of_url);
	free(r->context_of_key);
}

void config_deinit(struct config *cfg)
{
	for (uint32_t i = 0; i < cfg->n_registries; i++)
		deinit_registry(&cfg->registries[i]);
	allow_deinit(&cfg->allow);
	free(cfg->file);
	free(cfg->runtime_dir);
	free(cfg->control_group);
	free(cfg->ip);
	free(cfg->interface);
	free(cfg->cidr);
	*cfg = (struct config){ 0 };
}
