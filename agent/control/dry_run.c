/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dry run: what would be sent
 *
 * The instance is completed as the watcher does it, and rendered by the code that renders for the wire. Secrets are not
 * read, so none can be printed: a token and a signature stand there as ***. Where the API is found out by asking, the
 * requests of both are shown, because nobody is asked here.
 */
#include "control/dry_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/address.h"
#include "control/config_key.h"
#include "control/config_url.h"
#include "control/dry_spec.h"
#include "http/curl_glue.h"
#include "nacos/request.h"
#include "nacos/sign.h"

#define LINE_END " HTTP/1.1\r\n" /* of what nacos_beat_line() renders */

struct dry_run {
	FILE *out;
	const struct config_registry *registry;
	struct nacos_api api;
	struct descriptor *d;
	const char *base; /* of the server that is shown */
	char text[NACOS_TARGET_MAX];
	char body[NACOS_TARGET_MAX]; /* "": none */
};

static const struct config_registry *find_registry(const struct config *cfg, const char *name)
{
	for (uint32_t i = 0; i < cfg->n_registries; i++) {
		if (!name[0] || strcmp(cfg->registries[i].name, name) == 0)
			return &cfg->registries[i];
	}
	return NULL;
}

/* What makes a request one of this registry's user. It goes nowhere, so the secret is not even read. */
static const char *signature_of(const struct config_registry *r)
{
	return r->access_key ? sign_params_shown(r->region != NULL) : "";
}

static void put_headers(const struct dry_run *run, const char *body)
{
	char host[CONFIG_URL_HOST_MAX + 1];
	char port[8];
	bool v6;

	config_url_split(run->base, host, port);
	v6 = strchr(host, ':') != NULL;
	fprintf(run->out, "Host: %s%s%s:%s\n", v6 ? "[" : "", host, v6 ? "]" : "", port);
	fputs("User-Agent: " CURL_GLUE_AGENT "\nClient-Version: " ONEBEAT_VERSION
	      "\nAccept: application/json, */*\n",
	      run->out);
	if (run->registry->username)
		fputs("Authorization: Bearer ***\n", run->out);
	if (body)
		fputs("Content-Type: " NACOS_FORM_TYPE "\n", run->out);
	fprintf(run->out, "Content-Length: %zu\n\n", body ? strlen(body) : 0);
	if (body)
		fprintf(run->out, "%s\n\n", body);
}

static void put_request(const struct dry_run *run, const char *what, const char *method,
			size_t n_target, const char *body)
{
	fprintf(run->out, "# %s\n%s %s%.*s%s\n", what, method, run->base, (int)n_target, run->text,
		signature_of(run->registry));
	put_headers(run, body);
}

/* As the sender has it: of an instance that is shown as enabled, by the API that knows full beats. */
static bool is_full(const struct dry_run *run)
{
	return run->registry->beats == CONFIG_BEATS_FULL && run->api.version == NACOS_V1 &&
	       run->d->enabled;
}

static void put_beat(struct dry_run *run)
{
	size_t n = nacos_beat_line(&run->api, run->d, run->text, sizeof(run->text));
	size_t n_method = strcspn(run->text, " ");
	char method[16];

	if (n < sizeof(LINE_END))
		return;
	snprintf(method, sizeof(method), "%.*s", (int)n_method, run->text);
	memmove(run->text, run->text + n_method + 1, n - n_method);
	if (is_full(run) && nacos_beat_body(run->d, run->body, sizeof(run->body)) == 0)
		run->body[0] = '\0';
	put_request(run, "beat", method, n - n_method - 1 - (sizeof(LINE_END) - 1),
		    run->body[0] ? run->body : NULL);
}

static void put_api(struct dry_run *run, enum nacos_version version)
{
	size_t n;

	run->api = (struct nacos_api){ .version = version, .context = run->registry->context };
	fprintf(run->out, "# registry %s, api %s\n\n", run->registry->name,
		version == NACOS_V3 ? "v3" : "v1");
	n = nacos_register_target(&run->api, run->d, run->text, sizeof(run->text));
	run->body[0] = '\0';
	put_request(run, "register", "POST", n, NULL);
	if (run->d->ephemeral)
		put_beat(run);
	n = nacos_deregister_target(&run->api, run->d, run->text, sizeof(run->text));
	put_request(run, "deregister", "DELETE", n, NULL);
}

/* What the client left to the agent. NULL with a sentence. */
static struct descriptor *complete(const struct config *cfg, const struct config_registry *r,
				   const struct descriptor *d, char error[CONFIG_ERROR_MAX])
{
	char ip[CIDR_TEXT_MAX];
	struct descriptor *whole;

	if (!d->ip[0] && address_choose(cfg, ip, error) < 0)
		return NULL;
	whole = descriptor_with(d, r->name, d->namespace_id[0] ? NULL : r->namespace_id,
				d->ip[0] ? NULL : ip, d->enabled);
	if (!whole)
		(void)config_fail(error, "out of memory");
	return whole;
}

static const char *server_of(const struct config_registry *r)
{
	return r->n_urls > 0 ? r->urls[0] : r->domain ? r->domain : NULL;
}

static int show(struct dry_run *run)
{
	if (run->registry->api != CONFIG_API_V3)
		put_api(run, NACOS_V1);
	if (run->registry->api != CONFIG_API_V1)
		put_api(run, NACOS_V3);
	return ferror(run->out) ? -EIO : 0;
}

/* What is to be shown of one of its registries. */
static int prepare(struct dry_run *run, const struct config *cfg, const struct descriptor *d,
		   char error[CONFIG_ERROR_MAX])
{
	run->registry = find_registry(cfg, d->registry);
	if (!run->registry)
		return config_fail(error, "--dry-run: registry '%s' is not configured",
				   d->registry);
	run->base = server_of(run->registry);
	if (!run->base)
		return config_fail(
			error,
			"--dry-run: registry '%s': its endpoint would have to be asked for a server",
			run->registry->name);
	run->d = complete(cfg, run->registry, d, error);
	return run->d ? 0 : -EINVAL;
}

/* One registry of those that the spec names; out NULL: only whether it could be shown. */
static int show_one(const struct config *cfg, const struct dry_instance *instance, uint32_t k,
		    FILE *out, char error[CONFIG_ERROR_MAX])
{
	CLEANUP(free_p) struct dry_run *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return config_fail(error, "out of memory");
	run->out = out;
	r = prepare(run, cfg, instance->at[k], error);
	if (r == 0 && out)
		r = show(run);
	descriptor_unref(run->d);
	return r;
}

int dry_run(const struct config *cfg, const char *spec, FILE *out, char error[CONFIG_ERROR_MAX])
{
	struct dry_instance instance;
	int r = dry_spec_parse(&instance, spec, error);

	for (uint32_t k = 0; k < instance.n && r == 0; k++)
		r = show_one(cfg, &instance, k, NULL, error);
	for (uint32_t k = 0; k < instance.n && r == 0; k++)
		r = show_one(cfg, &instance, k, out, error);
	dry_instance_deinit(&instance);
	return r;
}
