/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of values
 *
 * Each kind reads a text into its field, or says how the sentence "key 'x': value 'y' ..." goes on,
 * and writes its field down again. Whatever is accepted must survive being printed and read back,
 * so texts that the file format would change (a ';' behind a blank begins a comment there) are
 * refused.
 *
 * The registry's URLs are a list that grows while one origin speaks and begins anew with the next,
 * so that --registry given twice makes two addresses, and any --registry hides the file's. Their
 * path, when they have one, is the context, and wins over the key of that name.
 */
#include "control/config_value.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <onebeat/onebeat.h>

#include "base/cidr.h"
#include "control/config_url.h"

/* Longest folder whose sockets' names fit sockaddr_un, as in the library. */
#define RUNTIME_DIR_MAX 90u

static const char *const level_names[] = { "error", "warning", "info", "debug" };

__attribute__((format(printf, 2, 3))) static int refuse(const struct config_setting *s,
							const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, CONFIG_ERROR_MAX, fmt, ap);
	va_end(ap);
	return CONFIG_KEY_REFUSED;
}

static void *base_of(struct config *cfg, const struct config_key *key)
{
	if (strcmp(key->section, CONFIG_SECTION_AGENT) == 0)
		return cfg;
	assert(cfg->n_registries > 0);
	return &cfg->registries[0];
}

static void *field(const struct config_setting *s)
{
	return (char *)base_of(s->cfg, s->key) + s->key->offset;
}

static const void *field_of(const struct config *cfg, const struct config_key *key)
{
	const void *base = strcmp(key->section, CONFIG_SECTION_AGENT) == 0
				   ? (const void *)cfg
				   : (const void *)&cfg->registries[0];

	return (const char *)base + key->offset;
}

static int replace_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static unsigned int print_text(const struct config *cfg, const struct config_key *key, int fd)
{
	const char *text = *(char *const *)field_of(cfg, key);

	if (!text)
		return 0;
	dprintf(fd, "%s = %s\n", key->name, text);
	return 1;
}

static int set_path(const struct config_setting *s)
{
	size_t n = strlen(s->value);
	char path[RUNTIME_DIR_MAX + 1];

	while (n > 1 && s->value[n - 1] == '/')
		n--;
	if (s->value[0] != '/' || n > RUNTIME_DIR_MAX)
		return refuse(s, "is not an absolute path of at most %u bytes", RUNTIME_DIR_MAX);
	if (strchr(s->value, ';'))
		return refuse(s, "is not a path without ';'");
	snprintf(path, sizeof(path), "%.*s", (int)n, s->value);
	if (path[n - 1] == ' ')
		return refuse(s, "is not a path without a blank at its end");
	return replace_text(field(s), path);
}

static int set_group(const struct config_setting *s)
{
	size_t n = strlen(s->value);

	if (n == 0 || n > 64 || strpbrk(s->value, " \t;#") ||
	    (strspn(s->value, "0123456789") != n && !getgrnam(s->value)))
		return refuse(s, "is not the name or number of a group of this host");
	return replace_text(field(s), s->value);
}

const struct config_type config_value_group = { "GROUP", set_group, print_text };

const struct config_type config_value_path = { "PATH", set_path, print_text };

static int set_level(const struct config_setting *s)
{
	enum log_level level;

	if (!log_level_of(s->value, &level))
		return refuse(s, "is not one of error, warning, info, debug");
	*(enum log_level *)field(s) = level;
	return 0;
}

static unsigned int print_level(const struct config *cfg, const struct config_key *key, int fd)
{
	dprintf(fd, "%s = %s\n", key->name,
		level_names[*(const enum log_level *)field_of(cfg, key)]);
	return 1;
}

const struct config_type config_value_level = { "error|warning|info|debug", set_level,
						print_level };

static int set_address(const struct config_setting *s)
{
	struct cidr_address address;
	char text[CIDR_TEXT_MAX];

	if (!cidr_address_parse(s->value, &address))
		return refuse(s, "is not a numeric IPv4 or IPv6 address");
	if (!cidr_address_names_host(&address))
		return refuse(s, "is not an address at which others can reach this host");
	cidr_address_print(&address, text);
	return replace_text(field(s), text);
}

const struct config_type config_value_address = { "ADDRESS", set_address, print_text };

static int set_interface(const struct config_setting *s)
{
	size_t n = strlen(s->value);

	if (n == 0 || n >= IF_NAMESIZE || strpbrk(s->value, " \t/:;"))
		return refuse(
			s, "is not the name of a network interface (1 to 15 characters, no blank, "
			   "/ : ;)");
	return replace_text(field(s), s->value);
}

const struct config_type config_value_interface = { "NAME", set_interface, print_text };

static int set_network(const struct config_setting *s)
{
	struct cidr c;

	switch (cidr_parse(s->value, &c)) {
	case 0:
		return replace_text(field(s), s->value);
	case CIDR_HOST_BITS:
		return refuse(s, "is not a network: it has bits set behind its /%u", c.prefix);
	default:
		return refuse(s, "is not a network like 10.0.0.0/8 or fd00::/8");
	}
}

const struct config_type config_value_network = { "NETWORK", set_network, print_text };

static int set_number(const struct config_setting *s)
{
	const struct config_key *key = s->key;
	size_t n = strspn(s->value, "0123456789");
	unsigned long long number = n > 0 && n <= 10 ? strtoull(s->value, NULL, 10) : 0;

	if (n == 0 || n > 10 || s->value[n] != '\0' || number < key->min || number > key->max)
		return refuse(s, "is not a whole number in %u..%u (%s)", key->min, key->max,
			      key->unit);
	*(uint32_t *)field(s) = (uint32_t)number;
	return 0;
}

static unsigned int print_number(const struct config *cfg, const struct config_key *key, int fd)
{
	dprintf(fd, "%s = %u\n", key->name, *(const uint32_t *)field_of(cfg, key));
	return 1;
}

const struct config_type config_value_number = { "NUMBER", set_number, print_number };

static int set_identity(const struct config_setting *s)
{
	bool force = strcmp(s->value, "pidfd_open") == 0;

	if (!force && strcmp(s->value, "auto") != 0)
		return refuse(s, "is not one of auto, pidfd_open");
	*(bool *)field(s) = force;
	return 0;
}

static unsigned int print_identity(const struct config *cfg, const struct config_key *key, int fd)
{
	dprintf(fd, "%s = %s\n", key->name,
		*(const bool *)field_of(cfg, key) ? "pidfd_open" : "auto");
	return 1;
}

const struct config_type config_value_identity = { "auto|pidfd_open", set_identity,
						   print_identity };

/* The URLs' path wins over the key. */
static void choose_context(struct config_registry *r)
{
	r->context = r->context_of_url ? r->context_of_url : r->context_of_key;
}

static bool contexts_contradict(const struct config_registry *r)
{
	return r->context_of_url && r->context_of_key && r->urls_by == r->context_by &&
	       strcmp(r->context_of_url, r->context_of_key) != 0;
}

static void forget_urls(struct config_registry *r)
{
	while (r->n_urls > 0)
		free(r->urls[--r->n_urls]);
	free(r->context_of_url);
	r->context_of_url = NULL;
}

/* No path at all is written as a slash. */
static const char *shown_context(const char *context)
{
	return context[0] ? context : "/";
}

static int add_context(const struct config_setting *s, struct config_registry *r,
		       const char *context)
{
	int e;

	if (r->context_of_url && strcmp(r->context_of_url, context) != 0)
		return refuse(
			s, "has the path '%s', and an address before it '%s': a registry has one",
			context, r->context_of_url);
	e = replace_text(&r->context_of_url, context);
	choose_context(r);
	if (e == 0 && contexts_contradict(r))
		return refuse(s, "has a path that is not the '%s' that key 'context' gives",
			      shown_context(r->context_of_key));
	return e;
}

static int add_url(const struct config_setting *s, struct config_registry *r, const char *text)
{
	struct config_url url;
	int e = config_url_parse(text, &url, s->why);

	if (e != 0)
		return e;
	for (uint32_t i = 0; i < r->n_urls; i++) {
		if (strcasecmp(r->urls[i], url.base) == 0)
			return refuse(s, "names %s twice", url.base);
	}
	if (r->n_urls == CONFIG_URLS_MAX)
		return refuse(s, "is one address too many: a registry has at most %u",
			      CONFIG_URLS_MAX);
	r->urls[r->n_urls] = strdup(url.base);
	if (!r->urls[r->n_urls])
		return -ENOMEM;
	r->n_urls++;
	return url.context[0] ? add_context(s, r, url.context) : 0;
}

/* Commas and blanks between the addresses. */
static int set_urls(const struct config_setting *s)
{
	struct config_registry *r = base_of(s->cfg, s->key);
	char *list = strdup(s->value);
	char *rest = list;
	char *item;
	int e = 0;

	if (!list)
		return -ENOMEM;
	if (r->urls_by != s->by)
		forget_urls(r);
	r->urls_by = s->by;
	choose_context(r);
	while (e == 0 && (item = strsep(&rest, ", \t")) != NULL)
		e = *item ? add_url(s, r, item) : 0;
	free(list);
	return e == 0 && r->n_urls == 0 ? refuse(s, "is not the address of any registry") : e;
}

static unsigned int print_urls(const struct config *cfg, const struct config_key *key, int fd)
{
	const struct config_registry *r = &cfg->registries[0];

	for (uint32_t i = 0; i < r->n_urls; i++)
		dprintf(fd, "%s = %s\n", key->name, r->urls[i]);
	return r->n_urls;
}

const struct config_type config_value_urls = { "URL[,URL]...", set_urls, print_urls };

static int set_context(const struct config_setting *s)
{
	struct config_registry *r = base_of(s->cfg, s->key);
	char context[CONFIG_CONTEXT_MAX + 1];
	int e = config_url_parse_context(s->value, context, s->why);

	if (e == 0)
		e = replace_text(&r->context_of_key, context);
	if (e != 0)
		return e;
	r->context_by = s->by;
	choose_context(r);
	if (contexts_contradict(r))
		return refuse(s, "is not the path '%s' of key 'url'", r->context_of_url);
	return 0;
}

static unsigned int print_context(const struct config *cfg, const struct config_key *key, int fd)
{
	dprintf(fd, "%s = %s\n", key->name, shown_context(cfg->registries[0].context));
	return 1;
}

const struct config_type config_value_context = { "PATH", set_context, print_context };

static int set_namespace(const struct config_setting *s)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t n = strlen(s->value);

	if (n == 0 || n > ONEBEAT_NAMESPACE_MAX || strspn(s->value, allowed) != n)
		return refuse(s, "is not a namespace id: 1 to %u of A-Z a-z 0-9 _ -",
			      ONEBEAT_NAMESPACE_MAX);
	return replace_text(field(s), s->value);
}

const struct config_type config_value_namespace = { "ID", set_namespace, print_text };
