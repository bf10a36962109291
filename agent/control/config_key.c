/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys
 *
 * One table says everything about a key: where it stands, what it may be, what it is without being
 * set, and what it means. The file's reader, the command line, the printed configuration and the
 * help text all go through it, so a new key is one line here and one field in struct config.
 */
#include "control/config_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <onebeat/onebeat.h>
#include <onebeat/segment.h>

#include "control/config_value.h"
#include "control/nearest.h"

/* A value longer than this is cut in sentences about it. */
#define SHOWN_MAX 120

#define AGENT(name, field, type, min, max, unit, value, help)                                     \
	{                                                                                         \
		CONFIG_SECTION_AGENT, name, &config_value_##type, offsetof(struct config, field), \
			min, max, unit, value, help                                               \
	}
#define REGISTRY(name, field, type, value, help)                                       \
	{                                                                              \
		CONFIG_SECTION_REGISTRY, name, &config_value_##type,                   \
			offsetof(struct config_registry, field), 0, 0, "", value, help \
	}

#define ALLOW(name, list, help)                                                                 \
	{                                                                                       \
		CONFIG_SECTION_ALLOW, name, &config_value_allow,                                \
			offsetof(struct allow_rule, texts) + (list) * sizeof(char *), 0, 0, "", \
			NULL, help                                                              \
	}

const struct config_key config_keys[CONFIG_KEYS_N] = {
	AGENT("runtime_dir", runtime_dir, path, 0, 0, "", NULL,
	      "Folder of sockets and journal; else " CONFIG_RUNTIME_DIR_DEFAULT
	      " or $XDG_RUNTIME_DIR/onebeat."),
	AGENT("log_level", log_level, level, 0, 0, "", "info",
	      "Least severe lines that are written to stderr."),
	AGENT("ip", ip, address, 0, 0, "", NULL,
	      "Address of instances that name none; else by interface, cidr or route."),
	AGENT("interface", interface, interface, 0, 0, "", NULL,
	      "Network interface whose address is registered."),
	AGENT("cidr", cidr, network, 0, 0, "", NULL,
	      "Network in which the registered address lies."),
	AGENT("slots", slots, number, 8, ONEBEAT_SLOTS_MAX, "slots", "16384",
	      "Most instances that the processes of one user may register."),
	AGENT("beat_connections", beat_connections, number, 1, 16, "connections", "2",
	      "Most connections to one registry address for beats."),
	AGENT("request_connections", request_connections, number, 1, 16, "connections", "1",
	      "Most connections to one registry address for everything else."),
	AGENT("listen_grace_ms", listen_grace_ms, number, 100, 3600000, "ms", "5000",
	      "How long the port of an instance may not listen before it is disabled."),
	AGENT("exec_grace_ms", exec_grace_ms, number, 100, 3600000, "ms", "10000",
	      "How long an instance is kept whose process became another program unannounced."),
	AGENT("identity", force_pidfd_open, identity, 0, 0, "", "auto",
	      "How a client's process is got hold of; pidfd_open: as on kernels before 6.5."),
	AGENT("control_group", control_group, group, 0, 0, "", NULL,
	      "Group whose members may look with onebeatctl, by name or number; of systemd's socket: SocketGroup=."),
	AGENT("leases", leases, number, 1, 65536, "leases", "16384",
	      "Most processes of one user that may hold a lease; at most 3/4 of what descriptors allow."),
	AGENT("silent_leases", silent_leases, number, 1, 65536, "connections", "256",
	      "Most connections of one user that have not said HELLO."),
	AGENT("hello_timeout_ms", hello_timeout_ms, number, 100, 3600000, "ms", "10000",
	      "How long a connection may stay without HELLO."),
	AGENT("messages_per_second", messages_per_second, number, 0, 100000000, "messages", "20000",
	      "Messages of one user that are read in a second, the rest later; 0: without limit."),
	AGENT("updates_per_second", updates_per_second, number, 0, 100000000, "updates", "10000",
	      "Updates of one user that are taken in a second, the newest later; 0: without limit."),
	REGISTRY("url", urls, urls, NULL,
		 "Addresses of one registry, http://HOST[:PORT][/CONTEXT]; may be repeated."),
	REGISTRY("context", context_of_key, context, "/nacos",
		 "Path before the registry's API; / for none."),
	REGISTRY("namespace", namespace_id, namespace, "public",
		 "Namespace id of instances that name none."),
	ALLOW("uid", ALLOW_UID,
	      "Users, by name or number, that the section is for; * is everybody."),
	ALLOW("gid", ALLOW_GID, "Groups, by name or number: their members as well."),
	ALLOW("service", ALLOW_SERVICE, "Patterns of services that they may register; else any."),
	ALLOW("ip", ALLOW_IP, "Addresses and networks that they may register; else any."),
	ALLOW("port", ALLOW_PORT, "Ports and ranges, like 80, 8000-8999; else any."),
	{ CONFIG_SECTION_ALLOW, "join", &config_value_join, offsetof(struct allow_rule, join), 0, 0,
	  "", "no", "Whether they may join instances that other users hold." },
};

_Static_assert(ONEBEAT_SLOTS_DEFAULT == 16384, "the text in the table is the segment's default");

/* What a registry's name may be made of: the library's rule for the field of that name. */
static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._-";

__attribute__((format(printf, 2, 3))) static int fail(char error[CONFIG_ERROR_MAX], const char *fmt,
						      ...)
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

/* A text fit for a sentence: cut, and control characters shown as '?'. */
static const char *shown(const char *text, char out[SHOWN_MAX + 4])
{
	int n = snprintf(out, SHOWN_MAX + 1, "%s", text);

	if (n > SHOWN_MAX)
		memcpy(out + SHOWN_MAX, "...", 4);
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

/* How the sentence about an unknown key ends: the most helpful thing that can be said. */
static void suggest(const char *section, const char *name, char *out, size_t size)
{
	const char *names[CONFIG_KEYS_N];
	size_t n = names_of(section, names);
	const char *near = nearest_word(name, names, n);
	size_t used;

	if (other_section(name)) {
		snprintf(out, size, "it belongs in section [%s]", other_section(name));
	} else if (near) {
		snprintf(out, size, "did you mean '%s'?", near);
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
	char text[SHOWN_MAX + 4];
	char hint[256];

	if (key)
		return key;
	suggest(section, name, hint, sizeof(hint));
	fail(error, "%s: key '%s' is unknown in section [%s]: %s", where, shown(name, text),
	     section, hint);
	return NULL;
}

int config_key_set(struct config *cfg, const struct config_key *key, const char *value,
		   enum config_origin by, const char *where, char error[CONFIG_ERROR_MAX])
{
	char why[CONFIG_ERROR_MAX] = "has a control character";
	char text[SHOWN_MAX + 4];
	struct config_setting s = { cfg, key, value, by, why };
	int r = has_control(value) ? CONFIG_KEY_REFUSED : key->type->set(&s);

	if (r == CONFIG_KEY_REFUSED)
		return fail(error, "%s: key '%s': value '%s' %s", where, key->name,
			    shown(value, text), why);
	if (r < 0)
		fail(error, "%s: key '%s': %s", where, key->name, strerror(-r));
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

static int add_registry(struct config *cfg, const char *name, const char *where,
			char error[CONFIG_ERROR_MAX])
{
	struct config_registry *r = &cfg->registries[cfg->n_registries];
	size_t n = strlen(name);

	if (cfg->n_registries == CONFIG_REGISTRIES_MAX)
		return fail(error,
			    "%s: section [registry %s]: there is a registry '%s' already, and this "
			    "version takes one; "
			    "its addresses all go into its key 'url'",
			    where, name, cfg->registries[0].name);
	if (n > ONEBEAT_REGISTRY_MAX || strspn(name, name_chars) != n)
		return fail(error,
			    "%s: section [registry]: name '%s' is not 1 to %d of A-Z a-z 0-9 . _ -",
			    where, name, ONEBEAT_REGISTRY_MAX);
	*r = (struct config_registry){ .name = strdup(name) };
	cfg->n_registries++;
	return r->name ? config_key_set_defaults(cfg, CONFIG_SECTION_REGISTRY, error) : -ENOMEM;
}

/*
 * The name that follows "registry"; the one that is there, or else the default, when nothing
 * follows.
 */
static const char *registry_name(const struct config *cfg, const char *rest)
{
	rest += strspn(rest, " \t");
	if (*rest)
		return rest;
	return cfg->n_registries > 0 ? cfg->registries[0].name : CONFIG_REGISTRY_NAME_DEFAULT;
}

static int enter_registry(struct config *cfg, const char *rest, const char *where,
			  char error[CONFIG_ERROR_MAX])
{
	const char *name = registry_name(cfg, rest);
	char text[SHOWN_MAX + 4];

	if (cfg->n_registries > 0 && strcmp(cfg->registries[0].name, name) == 0)
		return 0;
	return add_registry(cfg, shown(name, text), where, error);
}

static int enter_allow(struct config *cfg, const char *rest, const char *where,
		       char error[CONFIG_ERROR_MAX])
{
	char name[SHOWN_MAX + 4];

	shown(rest + strspn(rest, " \t"), name);
	if (!name[0])
		return fail(error, "%s: section [allow] has no name: [allow NAME]", where);
	for (uint32_t i = 0; i < cfg->allow.n_rules; i++) {
		if (strcmp(cfg->allow.rules[i]->name, name) == 0)
			return fail(error, "%s: a second section [allow %s]: give it another name",
				    where, name);
	}
	if (cfg->allow.n_rules == ALLOW_RULES_MAX)
		return fail(error, "%s: more than %u sections [allow NAME]", where,
			    ALLOW_RULES_MAX);
	cfg->allow_shown = cfg->allow.n_rules;
	return allow_add(&cfg->allow, name) ? 0 : -ENOMEM;
}

int config_key_enter(struct config *cfg, const char *text, const char *where, const char **section,
		     char error[CONFIG_ERROR_MAX])
{
	static const char *const known[] = { CONFIG_SECTION_AGENT, CONFIG_SECTION_REGISTRY,
					     CONFIG_SECTION_ALLOW };
	size_t n = strcspn(text, " \t");
	char word[SHOWN_MAX + 4];
	const char *near;

	if (strcmp(text, CONFIG_SECTION_AGENT) == 0) {
		*section = CONFIG_SECTION_AGENT;
		return 0;
	}
	if (n == strlen(CONFIG_SECTION_REGISTRY) &&
	    strncmp(text, CONFIG_SECTION_REGISTRY, n) == 0) {
		*section = CONFIG_SECTION_REGISTRY;
		return enter_registry(cfg, text + n, where, error);
	}
	if (n == strlen(CONFIG_SECTION_ALLOW) && strncmp(text, CONFIG_SECTION_ALLOW, n) == 0) {
		*section = CONFIG_SECTION_ALLOW;
		return enter_allow(cfg, text + n, where, error);
	}
	snprintf(word, sizeof(word), "%.*s", (int)(n < SHOWN_MAX ? n : SHOWN_MAX), text);
	near = nearest_word(word, known, 3);
	if (near)
		return fail(error, "%s: section [%s] is unknown: did you mean [%s]?", where,
			    shown(text, word), near);
	return fail(
		error,
		"%s: section [%s] is unknown: known are [agent], [registry NAME] and [allow NAME]",
		where, shown(text, word));
}
