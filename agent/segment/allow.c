/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allow-list: which user may register what
 *
 * Without rules everything is allowed. With rules a process may register what one of the rules that name its uid,
 * or one of its groups, permits as a whole: service, address and port. What a process is, the kernel has said
 * (handshake.c); what it wants is the completed descriptor, so an address that the agent chose is judged like one
 * that was given. To change an instance is to register it again, and to withdraw one is to withdraw one's own
 * hold: what may not be registered can be neither changed nor removed.
 *
 * To join an instance that another user holds, a rule must say join besides.
 *
 * The rules are made by the configuration, before any thread, and never change.
 */
#include "segment/allow.h"

#include <errno.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct setting {
	struct allow_rule *rule;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct setting *s, const char *fmt,
							...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, s->why_size, fmt, ap);
	va_end(ap);
	return ALLOW_REFUSED;
}

struct allow_rule *allow_add(struct allow *allow, const char *name)
{
	struct allow_rule *rule;

	if (allow->n_rules == ALLOW_RULES_MAX)
		return NULL;
	rule = calloc(1, sizeof(*rule));
	if (rule)
		rule->name = strdup(name);
	if (!rule || !rule->name) {
		free(rule);
		return NULL;
	}
	allow->rules[allow->n_rules++] = rule;
	return rule;
}

void allow_deinit(struct allow *allow)
{
	for (uint32_t i = 0; i < allow->n_rules; i++) {
		struct allow_rule *rule = allow->rules[i];

		for (uint32_t k = 0; k < rule->n[ALLOW_SERVICE]; k++)
			free(rule->services[k]);
		for (unsigned int k = 0; k < ALLOW_LISTS; k++)
			free(rule->texts[k]);
		free(rule->name);
		free(rule);
	}
	*allow = (struct allow){ .n_rules = 0 };
}

/* A number of at most max, digits alone. */
static bool parse_number(const char *text, size_t n, uint32_t max, uint32_t *out)
{
	unsigned long long value;

	if (n == 0 || n > 10 || strspn(text, "0123456789") < n)
		return false;
	value = strtoull(text, NULL, 10);
	*out = (uint32_t)value;
	return value <= max;
}

static int add_uid(const struct setting *s, const char *item)
{
	uint32_t *uid = &s->rule->uids[s->rule->n[ALLOW_UID]];
	const struct passwd *user;

	if (strcmp(item, "*") == 0) {
		s->rule->everybody = true;
		return 0;
	}
	if (parse_number(item, strlen(item), UINT32_MAX - 1, uid))
		return 0;
	user = getpwnam(item);
	if (!user)
		return refuse(s, "names '%.40s', which is no user of this host, number or *", item);
	*uid = user->pw_uid;
	return 0;
}

static int add_gid(const struct setting *s, const char *item)
{
	uint32_t *gid = &s->rule->gids[s->rule->n[ALLOW_GID]];
	const struct group *group;

	if (parse_number(item, strlen(item), UINT32_MAX - 1, gid))
		return 0;
	group = getgrnam(item);
	if (!group)
		return refuse(s, "names '%.40s', which is no group of this host or number", item);
	*gid = group->gr_gid;
	return 0;
}

static int add_service(const struct setting *s, const char *item)
{
	if (strspn(item,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-*?[]!") !=
	    strlen(item))
		return refuse(s, "has a pattern '%.40s' that no service name can match", item);
	s->rule->services[s->rule->n[ALLOW_SERVICE]] = strdup(item);
	return s->rule->services[s->rule->n[ALLOW_SERVICE]] ? 0 : -ENOMEM;
}

/* A network, or one address. */
static int add_ip(const struct setting *s, const char *item)
{
	struct cidr *network = &s->rule->networks[s->rule->n[ALLOW_IP]];

	if (cidr_address_parse(item, &network->network)) {
		network->prefix = network->network.family == AF_INET ? 32 : 128;
		return 0;
	}
	switch (cidr_parse(item, network)) {
	case 0:
		return 0;
	case CIDR_HOST_BITS:
		return refuse(s, "has '%.50s', which has bits set behind its prefix", item);
	default:
		return refuse(s, "has '%.50s', which is no address or network like 10.0.0.0/8",
			      item);
	}
}

static int add_port(const struct setting *s, const char *item)
{
	struct allow_range *range = &s->rule->ports[s->rule->n[ALLOW_PORT]];
	size_t n = strcspn(item, "-");

	if (!parse_number(item, n, 65535, &range->first))
		return refuse(s, "has '%.20s', which is no port or range like 8000-8999", item);
	range->last = range->first;
	if (item[n] == '-' &&
	    !parse_number(item + n + 1, strlen(item + n + 1), 65535, &range->last))
		return refuse(s, "has '%.20s', which is no port or range like 8000-8999", item);
	if (range->first == 0 || range->last < range->first)
		return refuse(s, "has '%.20s', which is not a rising range in 1..65535", item);
	return 0;
}

int allow_set(struct allow_rule *rule, enum allow_list list, const char *text, char *why,
	      size_t why_size)
{
	static int (*const add[ALLOW_LISTS])(const struct setting *s, const char *item) = {
		[ALLOW_UID] = add_uid, [ALLOW_GID] = add_gid,   [ALLOW_SERVICE] = add_service,
		[ALLOW_IP] = add_ip,   [ALLOW_PORT] = add_port,
	};
	const struct setting s = { .rule = rule, .why = why, .why_size = why_size };
	char *copy = strdup(text);
	char *rest = copy, *item;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && (item = strsep(&rest, ", \t"))) {
		if (!*item)
			continue;
		if (rule->n[list] == ALLOW_ITEMS_MAX) {
			r = refuse(&s, "has more than %u items: use another section",
				   ALLOW_ITEMS_MAX);
			break;
		}
		r = add[list](&s, item);
		if (r == 0)
			rule->n[list]++;
	}
	free(copy);
	if (r == 0 && rule->n[list] == 0)
		return refuse(&s, "is empty: leave the key out for no limit");
	if (r == 0) {
		rule->texts[list] = strdup(text);
		r = rule->texts[list] ? 0 : -ENOMEM;
	}
	return r;
}

static bool has(const uint32_t *ids, uint32_t n, uint32_t id)
{
	for (uint32_t i = 0; i < n; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

static bool is_for(const struct allow_rule *rule, uid_t uid, gid_t gid, const gid_t *groups,
		   uint32_t n_groups)
{
	if (rule->everybody || has(rule->uids, rule->n[ALLOW_UID], uid) ||
	    has(rule->gids, rule->n[ALLOW_GID], gid))
		return true;
	for (uint32_t i = 0; i < n_groups; i++) {
		if (has(rule->gids, rule->n[ALLOW_GID], groups[i]))
			return true;
	}
	return false;
}

uint64_t allow_rules_of(const struct allow *allow, uid_t uid, gid_t gid, const gid_t *groups,
			uint32_t n_groups)
{
	uint64_t rules = 0;

	for (uint32_t i = 0; i < allow->n_rules; i++) {
		if (is_for(allow->rules[i], uid, gid, groups, n_groups))
			rules |= UINT64_C(1) << i;
	}
	return rules;
}

static bool service_fits(const struct allow_rule *rule, const char *service)
{
	for (uint32_t i = 0; i < rule->n[ALLOW_SERVICE]; i++) {
		if (fnmatch(rule->services[i], service, 0) == 0)
			return true;
	}
	return rule->n[ALLOW_SERVICE] == 0;
}

static bool ip_fits(const struct allow_rule *rule, const char *ip)
{
	struct cidr_address address;

	if (rule->n[ALLOW_IP] == 0)
		return true;
	if (!cidr_address_parse(ip, &address))
		return false;
	for (uint32_t i = 0; i < rule->n[ALLOW_IP]; i++) {
		if (cidr_contains(&rule->networks[i], &address))
			return true;
	}
	return false;
}

static bool port_fits(const struct allow_rule *rule, uint32_t port)
{
	for (uint32_t i = 0; i < rule->n[ALLOW_PORT]; i++) {
		if (port >= rule->ports[i].first && port <= rule->ports[i].last)
			return true;
	}
	return rule->n[ALLOW_PORT] == 0;
}

static bool fits(const struct allow_rule *rule, const struct descriptor *d)
{
	return service_fits(rule, d->service) && ip_fits(rule, d->ip) && port_fits(rule, d->port);
}

bool allow_permits(const struct allow *allow, uint64_t rules, uid_t uid, const struct descriptor *d,
		   char *why, size_t why_size)
{
	bool service_ok = false;

	if (allow->n_rules == 0)
		return true;
	for (uint32_t i = 0; i < allow->n_rules; i++) {
		if (!(rules >> i & 1))
			continue;
		if (fits(allow->rules[i], d))
			return true;
		service_ok = service_ok || service_fits(allow->rules[i], d->service);
	}
	if (service_ok)
		snprintf(
			why, why_size,
			"uid %u may register '%.24s', but not at %s:%u: no [allow] section says so",
			uid, d->service, d->ip, d->port);
	else
		snprintf(why, why_size,
			 "uid %u may not register service '%.40s': no [allow] section says so", uid,
			 d->service);
	return false;
}

bool allow_joins(const struct allow *allow, uint64_t rules, const struct descriptor *d)
{
	for (uint32_t i = 0; i < allow->n_rules; i++) {
		if ((rules >> i & 1) && allow->rules[i]->join && fits(allow->rules[i], d))
			return true;
	}
	return false;
}
