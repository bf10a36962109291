/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that say where a registry is
 *
 * The registry's URLs are a list that grows while one origin speaks and begins anew with the next,
 * so that --registry given twice makes two addresses, and any --registry hides the file's. Their
 * path, when they have one, is the context, and wins over the key of that name.
 */
#include "control/config_value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <onebeat/onebeat.h>

#include "control/config_url.h"

static struct config_registry *registry_of(struct config *cfg)
{
	assert(cfg->registry_shown < cfg->n_registries);
	return &cfg->registries[cfg->registry_shown];
}

static const struct config_registry *shown_registry(const struct config *cfg)
{
	return &cfg->registries[cfg->registry_shown];
}

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
		return config_refuse(
			s, "has the path '%s', and an address before it '%s': a registry has one",
			context, r->context_of_url);
	e = config_replace_text(&r->context_of_url, context);
	choose_context(r);
	if (e == 0 && contexts_contradict(r))
		return config_refuse(s, "has a path that is not the '%s' that key 'context' gives",
				     shown_context(r->context_of_key));
	return e;
}

static int add_url(const struct config_setting *s, struct config_registry *r, const char *text)
{
	struct config_url url;
	int e = config_url_parse(text, CONFIG_PORT_DEFAULT, &url, s->why);

	if (e != 0)
		return e;
	for (uint32_t i = 0; i < r->n_urls; i++) {
		if (strcasecmp(r->urls[i], url.base) == 0)
			return config_refuse(s, "names %s twice", url.base);
	}
	if (r->n_urls == CONFIG_URLS_MAX)
		return config_refuse(s, "is one address too many: a registry has at most %u",
				     CONFIG_URLS_MAX);
	if (r->n_urls > 0 && config_url_is_tls(url.base) != config_url_is_tls(r->urls[0]))
		return config_refuse(s, "mixes http and https with %s: a registry speaks one",
				     r->urls[0]);
	r->urls[r->n_urls] = strdup(url.base);
	if (!r->urls[r->n_urls])
		return -ENOMEM;
	r->n_urls++;
	return url.context[0] ? add_context(s, r, url.context) : 0;
}

/* Commas and blanks between the addresses. */
static int set_urls(const struct config_setting *s)
{
	struct config_registry *r = registry_of(s->cfg);
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
	return e == 0 && r->n_urls == 0 ? config_refuse(s, "is not the address of any registry")
					: e;
}

static unsigned int print_urls(const struct config *cfg, const struct config_key *key, int fd)
{
	const struct config_registry *r = shown_registry(cfg);

	for (uint32_t i = 0; i < r->n_urls; i++)
		dprintf(fd, "%s = %s\n", key->name, r->urls[i]);
	return r->n_urls;
}

const struct config_type config_value_urls = { "URL[,URL]...", set_urls, print_urls };

static int set_context(const struct config_setting *s)
{
	struct config_registry *r = registry_of(s->cfg);
	char context[CONFIG_CONTEXT_MAX + 1];
	int e = config_url_parse_context(s->value, context, s->why);

	if (e == 0)
		e = config_replace_text(&r->context_of_key, context);
	if (e != 0)
		return e;
	r->context_by = s->by;
	choose_context(r);
	if (contexts_contradict(r))
		return config_refuse(s, "is not the path '%s' of key 'url'", r->context_of_url);
	return 0;
}

static unsigned int print_context(const struct config *cfg, const struct config_key *key, int fd)
{
	dprintf(fd, "%s = %s\n", key->name, shown_context(shown_registry(cfg)->context));
	return 1;
}

const struct config_type config_value_context = { "PATH", set_context, print_context };

static int set_namespace(const struct config_setting *s)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t n = strlen(s->value);

	if (n == 0 || n > ONEBEAT_NAMESPACE_MAX || strspn(s->value, allowed) != n)
		return config_refuse(s, "is not a namespace id: 1 to %u of A-Z a-z 0-9 _ -",
				     ONEBEAT_NAMESPACE_MAX);
	return config_replace_text(&registry_of(s->cfg)->namespace_id, s->value);
}

const struct config_type config_value_namespace = { "ID", set_namespace, config_print_text };

/* NAME[:PORT] is enough: one name is what it is about. */
static int set_domain(const struct config_setting *s)
{
	char text[CONFIG_URL_HOST_MAX + 32];
	struct config_url url;
	int e;

	if (strlen(s->value) >= CONFIG_URL_HOST_MAX + 16)
		return config_refuse(s, "has a host of more than 160 bytes");
	snprintf(text, sizeof(text), "%s%s", strstr(s->value, "://") ? "" : "http://", s->value);
	e = config_url_parse(text, CONFIG_PORT_DEFAULT, &url, s->why);
	if (e == 0 && url.context[0])
		return config_refuse(s, "has the path '%s', which belongs in key 'context'",
				     url.context);
	return e == 0 ? config_replace_text(&registry_of(s->cfg)->domain, url.base) : e;
}

const struct config_type config_value_domain = { "HOST[:PORT]", set_domain, config_print_text };

#define PROXY_PORT_DEFAULT 3128

static int set_proxy(const struct config_setting *s)
{
	struct config_url url;
	int e = config_url_parse(s->value, PROXY_PORT_DEFAULT, &url, s->why);

	if (e != 0)
		return e;
	if (url.context[0] || config_url_is_tls(url.base))
		return config_refuse(s, "is not a proxy like http://HOST[:PORT]");
	return config_replace_text(&registry_of(s->cfg)->proxy, url.base);
}

const struct config_type config_value_proxy = { "URL", set_proxy, config_print_text };

#define ENDPOINT_PORT_DEFAULT 8080
#define ENDPOINT_PATH_DEFAULT "/nacos/serverlist"
#define ENDPOINT_QUERY_MAX 64u

static int set_endpoint(const struct config_setting *s)
{
	static const char query_chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-&=%";
	size_t n = strcspn(s->value, "?");
	const char *query = s->value + n;
	char front[CONFIG_URL_HOST_MAX + CONFIG_CONTEXT_MAX + 16];
	char whole[sizeof(struct config_url) + ENDPOINT_QUERY_MAX + 2];
	struct config_url url;
	int e;

	if (n >= sizeof(front))
		return config_refuse(s, "has a host or path that is too long");
	if (query[0] && (strlen(query) > ENDPOINT_QUERY_MAX ||
			 strspn(query + 1, query_chars) != strlen(query + 1)))
		return config_refuse(
			s, "has a query that is not up to %u of A-Z a-z 0-9 . _ ~ - & = %%",
			ENDPOINT_QUERY_MAX);
	snprintf(front, sizeof(front), "%.*s", (int)n, s->value);
	e = config_url_parse(front, ENDPOINT_PORT_DEFAULT, &url, s->why);
	if (e != 0)
		return e;
	snprintf(whole, sizeof(whole), "%s%s%s", url.base,
		 url.context[0] ? url.context : ENDPOINT_PATH_DEFAULT, query);
	return config_replace_text(&registry_of(s->cfg)->endpoint, whole);
}

const struct config_type config_value_endpoint = { "URL", set_endpoint, config_print_text };
