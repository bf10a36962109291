/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to those who use it
 *
 * Watcher and sender know nothing of struct config: each gets of a registry what it needs, under the same index.
 */
#include "control/registry_list.h"

#include <stdio.h>

#include "http/access.h"

/* Both are in the order of the words in the file. */
_Static_assert((int)CONFIG_API_V3 == (int)REGISTRY_API_V3, "one order");
_Static_assert((int)CONFIG_BEATS_FULL == (int)REGISTRY_BEATS_FULL, "one order");
_Static_assert((int)CONFIG_ROUTE_ANY == (int)REGISTRY_ROUTE_ANY, "one order");
_Static_assert((int)CONFIG_ROUTE_RESPONSIBLE == (int)REGISTRY_ROUTE_RESPONSIBLE, "one order");
_Static_assert((int)CONFIG_TLS_1_3 == (int)REGISTRY_TLS_1_3, "one order");

static struct registry_secret secret_of(const struct config_secret *s)
{
	return (struct registry_secret){ .file = s->file,
					 .credential = s->credential,
					 .env = s->env };
}

static void fill_login(struct registry_login *login, const struct config_registry *r)
{
	*login = (struct registry_login){
		.username = r->username,
		.password = secret_of(&r->password),
		.access_key = r->access_key,
		.secret_key = secret_of(&r->secret_key),
		.region = r->region,
		.allow_plaintext_password = r->allow_plaintext_password,
	};
}

static void fill_tls(struct registry_tls *tls, const struct config_registry *r)
{
	*tls = (struct registry_tls){
		.ca_file = r->ca_file,
		.client_cert = r->client_cert,
		.client_key = r->client_key,
		.server_name = r->server_name,
		.min_version = (enum registry_tls_version)r->tls_min_version,
		.no_verify = !r->tls_verify,
	};
}

static void fill_sent(struct sender_registry_options *o, const struct config *cfg,
		      const struct config_registry *r)
{
	*o = (struct sender_registry_options){
		.name = r->name,
		.urls = (const char *const *)r->urls,
		.n_urls = r->n_urls,
		.context = r->context,
		.namespace_id = r->namespace_id,
		.api = (enum registry_api)r->api,
		.beats = (enum registry_beats)r->beats,
		.route = (enum registry_route)r->route,
		.endpoint = r->endpoint,
		.endpoint_interval_ms = r->endpoint_interval_ms,
		.domain = r->domain,
		.proxy = r->proxy,
		.connect_timeout_ms = r->connect_timeout_ms,
		.request_timeout_ms = r->request_timeout_ms,
		.beat_connections = r->beat_connections ? r->beat_connections
							: cfg->beat_connections,
		.request_connections = r->request_connections ? r->request_connections
							      : cfg->request_connections,
		.pace_per_second = r->reregister_per_second,
		.persistent_keep = r->persistent == CONFIG_PERSISTENT_KEEP,
	};
	fill_login(&o->login, r);
	fill_tls(&o->tls, r);
}

int registry_list_check_secrets(const struct registry_list *list, char error[CONFIG_ERROR_MAX])
{
	char why[SECRET_WHY_MAX];
	int r = 0;

	for (uint32_t i = 0; i < list->n && r == 0; i++) {
		r = access_check(&list->sent[i].login, why);
		if (r < 0)
			snprintf(error, CONFIG_ERROR_MAX, "registry '%s': %.400s",
				 list->sent[i].name, why);
	}
	return r;
}

void registry_list_fill(struct registry_list *list, const struct config *cfg)
{
	list->n = cfg->n_registries;
	for (uint32_t i = 0; i < cfg->n_registries; i++) {
		const struct config_registry *r = &cfg->registries[i];

		list->watched[i] = (struct watcher_registry){ .name = r->name,
							      .namespace_id = r->namespace_id };
		fill_sent(&list->sent[i], cfg, r);
		if (!r->endpoint || !cfg->runtime_dir)
			continue;
		snprintf(list->snapshots[i], REGISTRY_SNAPSHOT_MAX, "%s/servers.%s",
			 cfg->runtime_dir, r->name);
		list->sent[i].snapshot = list->snapshots[i];
	}
}
