/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: the running agent's part
 *
 * All or nothing. The new configuration is read and checked whole, here, while the old one works; what cannot change
 * in a running onebeatd, and what would let a living instance vanish, is refused by name. What is good is printed into
 * a memfd, read back from there as its reader will, given to the keeper, and a new agent takes over with it: every key
 * is then set by the same code as at a start, and adoption keeps leases and beats.
 *
 * What becomes of instances: those of an added registry come; a registry with living instances cannot go, nor cease to
 * be the first, which is that of instances that name none. Other addresses of a registry: the instances are beaten
 * there, and registered where they are not known. Another namespace: instances that name none are registered there
 * with their next beat, and their old registration runs out. A persistent one would stay there for good: refused.
 */
#include "control/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/secret.h"
#include "control/config_key.h"

static const char *shown_text(const char *text)
{
	return text ? text : "";
}

static int fixed(const char *key, const char *now, const char *wanted, char *error)
{
	if (strcmp(shown_text(now), shown_text(wanted)) == 0)
		return 0;
	return config_fail(
		error,
		"key '%s' cannot be changed while onebeatd runs: it is '%s', the configuration has '%s'; stop and start",
		key, shown_text(now), shown_text(wanted));
}

/* The keeper has bound the folder and given its socket away; the segments have their size. */
static int check_fixed(const struct config *now, const struct config *wanted, char *error)
{
	char slots[2][16];
	int r;

	snprintf(slots[0], sizeof(slots[0]), "%u", now->slots);
	snprintf(slots[1], sizeof(slots[1]), "%u", wanted->slots);
	r = fixed("runtime_dir", now->runtime_dir, wanted->runtime_dir, error);
	if (r == 0)
		r = fixed("control_group", now->control_group, wanted->control_group, error);
	return r == 0 ? fixed("slots", slots[0], slots[1], error) : r;
}

static const struct config_registry *find(const struct config *cfg, const char *name)
{
	for (uint32_t i = 0; i < cfg->n_registries; i++) {
		if (strcmp(cfg->registries[i].name, name) == 0)
			return &cfg->registries[i];
	}
	return NULL;
}

/* Looks for instances that one change would hurt. */
struct victims {
	const char *registry;
	const char *namespace_id; /* persistent ones in it; NULL: all of the registry */
	uint32_t n;
	char first[256];
};

static void count_victim(void *ctx, const struct dom2beat_node *node)
{
	const struct descriptor *d = node->descriptor;
	struct victims *v = ctx;

	if (strcmp(d->registry, v->registry) != 0)
		return;
	if (v->namespace_id && (d->ephemeral || strcmp(d->namespace_id, v->namespace_id) != 0))
		return;
	if (v->n++ == 0)
		snprintf(v->first, sizeof(v->first), "%s:%u of %s", d->ip, d->port, d->service);
}

static void count_victims(const struct reload_options *o, struct victims *v)
{
	rcu_read_lock();
	dom2beat_each(o->map, count_victim, v);
	rcu_read_unlock();
}

/* What becomes of one registry that there is. */
static int check_registry(const struct reload_options *o, const struct config *wanted,
			  uint32_t index, char *error)
{
	const struct config_registry *old = &o->cfg->registries[index];
	const struct config_registry *new = find(wanted, old->name);
	bool first = index == 0 && strcmp(wanted->registries[0].name, old->name) != 0;
	bool moved = new &&strcmp(new->namespace_id, old->namespace_id) != 0;
	struct victims v = { .registry = old->name,
			     .namespace_id = new && !first ? old->namespace_id : NULL };

	if (new && !first && !moved)
		return 0;
	count_victims(o, &v);
	if (v.n == 0)
		return 0;
	if (!new)
		return config_fail(
			error,
			"registry '%s' cannot be taken out: %u living instances are registered there, first %s",
			old->name, v.n, v.first);
	if (first)
		return config_fail(
			error,
			"registry '%s' must stay the first, which is that of instances that name none: it has %u, "
			"first %s",
			old->name, v.n, v.first);
	return config_fail(
		error,
		"registry '%s': key 'namespace' cannot go from '%s' to '%s': %u persistent instances would stay behind, "
		"first %s",
		old->name, old->namespace_id, new->namespace_id, v.n, v.first);
}

static int check_secret(const char *registry, const char *what, const struct config_secret *s,
			char *error)
{
	struct secret secret = SECRET_NULL;
	char why[SECRET_WHY_MAX] = "";
	int r = 0;

	if (s->file)
		r = secret_read(&secret, SECRET_FILE, s->file, why);
	else if (s->credential)
		r = secret_read(&secret, SECRET_CREDENTIAL, s->credential, why);
	else if (s->env)
		r = secret_read(&secret, SECRET_ENVIRONMENT, s->env, why);
	secret_wipe(&secret);
	return r < 0 ? config_fail(error, "registry '%s': %s: %.360s", registry, what, why) : 0;
}

static int check_file(const char *registry, const char *key, const char *path, char *error)
{
	if (!path || access(path, R_OK) == 0)
		return 0;
	return config_fail(error, "registry '%s': key '%s': value '%s': %s", registry, key, path,
			   strerror(errno));
}

/* What the configuration only names must be there too. */
static int check_named(const struct config_registry *r, char *error)
{
	int e = check_secret(r->name, "password", &r->password, error);

	if (e == 0)
		e = check_secret(r->name, "secret key", &r->secret_key, error);
	if (e == 0)
		e = check_file(r->name, "ca_file", r->ca_file, error);
	if (e == 0)
		e = check_file(r->name, "client_cert", r->client_cert, error);
	return e == 0 ? check_file(r->name, "client_key", r->client_key, error) : e;
}

static int check(const struct reload_options *o, const struct config *wanted, char *error)
{
	int r = check_fixed(o->cfg, wanted, error);

	for (uint32_t i = 0; i < o->cfg->n_registries && r == 0; i++)
		r = check_registry(o, wanted, i, error);
	for (uint32_t i = 0; i < wanted->n_registries && r == 0; i++)
		r = check_named(&wanted->registries[i], error);
	return r;
}

int reload_settings(const struct config *cfg)
{
	int fd = memfd_create("onebeat-settings", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	config_print(cfg, fd);
	return fd;
}

/* The reader of this text must not be the one who finds out. */
static int read_back(int fd, char *error)
{
	CLEANUP(config_deinit) struct config again;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = config_load(&again, path, error);
	return r == 0 ? config_check(&again, error) : r;
}

static int send_both(const struct reload_options *o, int settings, int tool_fd)
{
	const struct channel_msg hold = {
		.version = CHANNEL_VERSION, .type = CHANNEL_HOLD, .kind = CHANNEL_SETTINGS, .id = 1
	};
	const struct channel_msg ask = { .version = CHANNEL_VERSION, .type = CHANNEL_RELOAD };
	int r = channel_send(o->keeper_fd, &hold, settings);

	return r < 0 ? r : channel_send(o->keeper_fd, &ask, tool_fd);
}

int reload_begin(const struct reload_options *o, int tool_fd, char error[CONFIG_ERROR_MAX])
{
	CLEANUP(config_deinit) struct config wanted = { 0 };
	CLEANUP(close_fdp) int settings = -1;
	int r = o->source.load(o->source.ctx, &wanted, error);

	if (r == 0)
		r = check(o, &wanted, error);
	if (r < 0)
		return r;
	settings = reload_settings(&wanted);
	r = settings < 0 ? config_fail(error, "there is no memory for the new settings")
			 : read_back(settings, error);
	if (r < 0)
		return r;
	r = send_both(o, settings, tool_fd);
	return r < 0 ? config_fail(error, "the keeper could not be told: %s", strerror(-r)) : 0;
}
