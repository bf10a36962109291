/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the whole of [registry NAME] can tell
 *
 * Keys that contradict each other, and keys that would be of no use: whoever wrote ca_file beside an http:// address
 * believes that something is protected which is not. One rule a function, each with its own sentence; the first that
 * is broken is told.
 */
#include <errno.h>
#include <string.h>

#include "control/config_key.h"
#include "control/config_url.h"

static int check_servers(const struct config_registry *r, char *error)
{
	if (r->domain && (r->n_urls > 0 || r->endpoint))
		return config_fail(
			error,
			"registry '%s': key 'domain' is the one name of all servers: it cannot stand beside '%s'",
			r->name, r->n_urls > 0 ? "url" : "endpoint");
	if (!r->domain && r->n_urls == 0 && !r->endpoint)
		return config_fail(
			error,
			"registry '%s': no registry: give its address as url (or domain, or endpoint) in section "
			"[registry %s]",
			r->name, r->name);
	if (!r->endpoint && r->endpoint_interval_ms != CONFIG_ENDPOINT_INTERVAL_MS)
		return config_fail(
			error,
			"registry '%s': key 'endpoint_interval' is of no use without 'endpoint'",
			r->name);
	return 0;
}

static int check_times(const struct config_registry *r, char *error)
{
	if (r->connect_timeout_ms <= r->request_timeout_ms)
		return 0;
	return config_fail(
		error,
		"registry '%s': keys 'connect_timeout' and 'request_timeout' contradict each other: %u ms of "
		"connecting do not fit into %u ms of a request",
		r->name, r->connect_timeout_ms, r->request_timeout_ms);
}

/* The scheme of the servers: endpoints name them without one, and they are taken to speak as the endpoint does. */
static bool speaks_tls(const struct config_registry *r)
{
	const char *base = r->n_urls > 0 ? r->urls[0] : r->domain ? r->domain : r->endpoint;

	return base && config_url_is_tls(base);
}

/* The first TLS key that is not as by default; NULL. What is printed is to be read again, defaults and all. */
static const char *tls_key(const struct config_registry *r)
{
	const struct {
		bool set;
		const char *name;
	} keys[] = { { r->ca_file, "ca_file" },
		     { r->client_cert, "client_cert" },
		     { r->client_key, "client_key" },
		     { r->server_name, "server_name" },
		     { r->tls_min_version != CONFIG_TLS_1_2, "tls_min_version" },
		     { !r->tls_verify, "tls_verify" } };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].set)
			return keys[i].name;
	}
	return NULL;
}

static int check_tls(const struct config_registry *r, char *error)
{
	const char *key = tls_key(r);

	if (!r->client_cert != !r->client_key)
		return config_fail(
			error,
			"registry '%s': key '%s' is of no use without '%s': a certificate is shown with its key",
			r->name, r->client_cert ? "client_cert" : "client_key",
			r->client_cert ? "client_key" : "client_cert");
	if (key && !speaks_tls(r))
		return config_fail(
			error,
			"registry '%s': key '%s' protects nothing: the registry's address is not an https:// URL",
			r->name, key);
	if (!r->tls_verify && (r->ca_file || r->server_name))
		return config_fail(
			error,
			"registry '%s': key '%s' is of no use with 'tls_verify = no': nothing is verified",
			r->name, r->ca_file ? "ca_file" : "server_name");
	return 0;
}

static int n_places(const struct config_secret *s)
{
	return (s->file != NULL) + (s->credential != NULL) + (s->env != NULL);
}

/* Who a secret is for and where it is read from: both or none, and one place. */
static int check_secret(const struct config_registry *r, const char *who, const char *who_key,
			const struct config_secret *s, const char *secret_key, char *error)
{
	if (n_places(s) > 1)
		return config_fail(
			error,
			"registry '%s': keys '%s_file', '%s_credential' and '%s_env' exclude each other: a secret "
			"has one place",
			r->name, secret_key, secret_key, secret_key);
	if (who && n_places(s) == 0)
		return config_fail(
			error,
			"registry '%s': key '%s' is '%s', and no key tells the secret: give '%s_file', "
			"'%s_credential' or '%s_env'",
			r->name, who_key, who, secret_key, secret_key, secret_key);
	if (!who && n_places(s) > 0)
		return config_fail(error, "registry '%s': key '%s_%s' is of no use without '%s'",
				   r->name, secret_key,
				   s->file         ? "file"
				   : s->credential ? "credential"
						   : "env",
				   who_key);
	return 0;
}

/* The first address where anybody between could read what is sent; NULL. */
static const char *open_address(const struct config_registry *r)
{
	for (uint32_t i = 0; i < r->n_urls; i++) {
		if (!config_url_is_tls(r->urls[i]) && !config_url_is_loopback(r->urls[i]))
			return r->urls[i];
	}
	if (r->domain && !config_url_is_tls(r->domain) && !config_url_is_loopback(r->domain))
		return r->domain;
	if (r->endpoint && !config_url_is_tls(r->endpoint) && !config_url_is_loopback(r->endpoint))
		return r->endpoint;
	return NULL;
}

static int check_login(const struct config_registry *r, char *error)
{
	int e = check_secret(r, r->username, "username", &r->password, "password", error);

	if (e == 0)
		e = check_secret(r, r->access_key, "access_key", &r->secret_key, "secret_key",
				 error);
	if (e != 0)
		return e;
	if (r->username && r->access_key)
		return config_fail(
			error,
			"registry '%s': keys 'username' and 'access_key' exclude each other: a registry has one "
			"way to tell who asks",
			r->name);
	if (r->region && !r->access_key)
		return config_fail(error,
				   "registry '%s': key 'region' is of no use without 'access_key'",
				   r->name);
	if (r->username && !r->allow_plaintext_password && open_address(r))
		return config_fail(
			error,
			"registry '%s': the password of '%s' would go to %s where everybody between can read it: "
			"use https://, or say 'allow_plaintext_password = yes'",
			r->name, r->username, open_address(r));
	return 0;
}

/* The address that two registries share; NULL. */
static const char *shared_url(const struct config_registry *a, const struct config_registry *b)
{
	for (uint32_t i = 0; i < a->n_urls; i++) {
		for (uint32_t k = 0; k < b->n_urls; k++) {
			if (strcmp(a->urls[i], b->urls[k]) == 0)
				return a->urls[i];
		}
	}
	return NULL;
}

/* One agent that is two clients of one registry would undo with one hand what the other does. */
static int check_pair(const struct config_registry *a, const struct config_registry *b, char *error)
{
	const char *url = shared_url(a, b);

	if (!url || strcmp(a->context, b->context) != 0 ||
	    strcmp(a->namespace_id, b->namespace_id) != 0)
		return 0;
	return config_fail(
		error,
		"registries '%s' and '%s' are one: both have %s%s with namespace '%s'; name it once",
		a->name, b->name, url, a->context, a->namespace_id);
}

int config_check_registries(const struct config *cfg, char error[CONFIG_ERROR_MAX])
{
	int e = 0;

	for (uint32_t i = 0; i < cfg->n_registries && e == 0; i++) {
		const struct config_registry *r = &cfg->registries[i];

		e = check_servers(r, error);
		if (e == 0)
			e = check_times(r, error);
		if (e == 0)
			e = check_tls(r, error);
		if (e == 0)
			e = check_login(r, error);
		for (uint32_t k = 0; k < i && e == 0; k++)
			e = check_pair(&cfg->registries[k], r, error);
	}
	return e;
}
