/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What auto-registration is to register
 *
 * Options, environment and the listening socket come together here. Everything is copied, because a start may
 * come long after the options are gone, and checked at once, because a program can say something useful about
 * a bad option when it begins and hardly when its socket listens. The environment is read once and only where
 * the process has no more rights than its user.
 */
#include "auto.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <onebeat/lease.h>

#include "spec.h"

#define MANAGEMENT_TAIL "-management"
#define MANAGEMENT_KEY "management.port"
#define PORT_MAX 65535u

/* text's own copy; NULL stays NULL. Checked texts have room: see AUTO_TEXTS_SIZE. */
static const char *keep(struct auto_plan *plan, const char *text)
{
	char *copy = plan->texts + plan->n_texts;
	size_t n;

	if (!text)
		return NULL;
	n = strlen(text) + 1;
	if (n > sizeof(plan->texts) - plan->n_texts)
		return NULL;
	memcpy(copy, text, n);
	plan->n_texts += n;
	return copy;
}

/* A port in digits alone; 0: it is none. */
static uint32_t port_of(const char *text)
{
	uint32_t port = 0;

	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		port = port * 10 + (uint32_t)(*text - '0');
		if (port > PORT_MAX)
			return 0;
	}
	return port;
}

static int take_enabled(struct auto_plan *plan, int option)
{
	static const char *const words[2] = { "false", "true" };
	const char *text = secure_getenv("ONEBEAT_ENABLED");

	if (option != 0 && option != 1)
		return ONEBEAT_E_ENABLED;
	plan->enabled = option;
	if (!text || !text[0])
		return 0;
	for (int i = 0; i < 2; i++) {
		if (strcmp(text, words[i]) == 0) {
			plan->enabled = i;
			return 0;
		}
	}
	return ONEBEAT_E_ENVIRONMENT;
}

static int find_management_port(uint32_t option, uint32_t *out)
{
	const char *text = secure_getenv("ONEBEAT_MANAGEMENT_PORT");

	*out = option;
	if (option > PORT_MAX)
		return ONEBEAT_E_PORT;
	if (option > 0 || !text || !text[0])
		return 0;
	*out = port_of(text);
	return *out > 0 ? 0 : ONEBEAT_E_ENVIRONMENT;
}

static void write_port(char out[AUTO_PORT_DIGITS], uint32_t port)
{
	char digits[AUTO_PORT_DIGITS];
	size_t n = 0;

	for (; port > 0; port /= 10)
		digits[n++] = (char)('0' + port % 10);
	while (n > 0)
		*out++ = digits[--n];
	*out = '\0';
}

static bool has_key(const struct onebeat_spec *spec, const char *key)
{
	for (uint32_t i = 0; i < spec->n_metadata; i++) {
		if (strcmp(spec->metadata[i].key, key) == 0)
			return true;
	}
	return false;
}

/* Where consumers look for it, unless the program says so itself. */
static void name_management_port(struct auto_plan *plan, uint32_t port)
{
	struct onebeat_spec *spec = &plan->spec;

	if (has_key(spec, MANAGEMENT_KEY))
		return;
	write_port(plan->management_port, port);
	plan->metadata[spec->n_metadata++] = (struct onebeat_metadata){ MANAGEMENT_KEY,
									plan->management_port };
	spec->metadata = plan->metadata;
}

/* The service's name with a tail; too long a one is refused by the check that follows. */
static const char *management_name(struct auto_plan *plan)
{
	char name[ONEBEAT_SERVICE_MAX + sizeof(MANAGEMENT_TAIL)];
	size_t n = strlen(plan->spec.service);

	memcpy(name, plan->spec.service, n);
	memcpy(name + n, MANAGEMENT_TAIL, sizeof(MANAGEMENT_TAIL));
	return keep(plan, name);
}

static int take_management(struct auto_plan *plan, const struct onebeat_auto_options *o)
{
	struct onebeat_spec check;
	uint32_t port;
	int r = find_management_port(o->management_port, &port);

	if (r < 0 || port == 0)
		return r;
	plan->management = plan->spec;
	plan->management.port = port;
	plan->management.service = o->management_service;
	if (!o->management_service)
		plan->management.service = management_name(plan);
	r = onebeat__spec_check(&plan->management);
	if (r < 0)
		return r;
	if (o->management_service)
		plan->management.service = keep(plan, o->management_service);
	name_management_port(plan, port);
	check = plan->spec;
	check.port = port;
	return onebeat__spec_check(&check);
}

/* After the check: every text has an end and a bound. */
static void copy_spec(struct auto_plan *plan, const struct onebeat_spec *from)
{
	struct onebeat_spec *spec = &plan->spec;

	*spec = *from;
	spec->service = keep(plan, from->service);
	spec->group = keep(plan, from->group);
	spec->cluster = keep(plan, from->cluster);
	spec->namespace_id = keep(plan, from->namespace_id);
	spec->registry = keep(plan, from->registry);
	spec->ip = keep(plan, from->ip);
	for (uint32_t i = 0; i < from->n_metadata; i++) {
		plan->metadata[i].key = keep(plan, from->metadata[i].key);
		plan->metadata[i].value = keep(plan, from->metadata[i].value);
	}
	spec->metadata = from->n_metadata > 0 ? plan->metadata : NULL;
}

static int take_spec(struct auto_plan *plan, const struct onebeat_spec *from)
{
	struct onebeat_spec spec;
	int r;

	if (from->size != sizeof(*from))
		return ONEBEAT_E_SIZE;
	spec = *from;
	if (!spec.service)
		spec.service = secure_getenv("ONEBEAT_SERVICE");
	if (spec.port == 0)
		spec.port = 1; /* any: it is not known yet */
	r = onebeat__spec_check(&spec);
	if (r < 0)
		return r;
	spec.port = from->port;
	copy_spec(plan, &spec);
	return 0;
}

static int take_open(struct auto_plan *plan, const struct onebeat_options *from)
{
	plan->open = onebeat_options_init();
	if (!from)
		return 0;
	if (from->size != sizeof(*from))
		return ONEBEAT_E_SIZE;
	plan->open = *from;
	if (from->runtime_dir &&
	    strnlen(from->runtime_dir, ONEBEAT_RUNTIME_DIR_MAX + 1) > ONEBEAT_RUNTIME_DIR_MAX)
		return ONEBEAT_E_RUNTIME_DIR;
	plan->open.runtime_dir = keep(plan, from->runtime_dir);
	return 0;
}

int onebeat__auto_plan_init(struct auto_plan *plan, const struct onebeat_auto_options *options)
{
	int r;

	if (!options->spec)
		return ONEBEAT_E_NULL;
	r = take_enabled(plan, options->enabled);
	if (r == 0)
		r = take_open(plan, options->open);
	if (r == 0)
		r = take_spec(plan, options->spec);
	if (r == 0)
		r = take_management(plan, options);
	return r;
}

bool onebeat__auto_plan_is_managed(const struct auto_plan *plan)
{
	return plan->management.port > 0 && plan->management.port != plan->spec.port;
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The address as it is registered; empty for one that says nothing of where the host is reached. */
static void write_ip(char out[ONEBEAT_IP_MAX + 1], const union address *from)
{
	const bool v4_mapped = from->any.sa_family == AF_INET6 &&
			       IN6_IS_ADDR_V4MAPPED(&from->v6.sin6_addr);
	const void *raw = &from->v6.sin6_addr;
	struct in_addr v4 = from->v4.sin_addr;

	out[0] = '\0';
	if (from->any.sa_family == AF_INET6 && !v4_mapped) {
		if (IN6_IS_ADDR_UNSPECIFIED(&from->v6.sin6_addr) ||
		    IN6_IS_ADDR_LOOPBACK(&from->v6.sin6_addr) ||
		    IN6_IS_ADDR_LINKLOCAL(&from->v6.sin6_addr))
			return;
		(void)inet_ntop(AF_INET6, raw, out, ONEBEAT_IP_MAX + 1);
		return;
	}
	if (v4_mapped)
		memcpy(&v4, (const uint8_t *)raw + 12, sizeof(v4));
	if (v4.s_addr != htonl(INADDR_ANY) && ntohl(v4.s_addr) >> 24 != 127)
		(void)inet_ntop(AF_INET, &v4, out, ONEBEAT_IP_MAX + 1);
}

static bool is_listening(int fd, union address *address)
{
	socklen_t size = sizeof(*address);
	int listens = 0;
	socklen_t n = sizeof(listens);
	int type = 0;
	socklen_t n_type = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n_type) == 0 && type == SOCK_STREAM &&
	       getsockname(fd, &address->any, &size) == 0 &&
	       (address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6);
}

int onebeat__auto_plan_bind(struct auto_plan *plan, int listen_fd)
{
	struct onebeat_spec *spec = &plan->spec;
	union address address;

	memset(&address, 0, sizeof(address));
	if (!is_listening(listen_fd, &address))
		return ONEBEAT_E_LISTEN;
	if (spec->port != 0)
		return 0;
	spec->port = ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port
							     : address.v4.sin_port);
	if (!spec->ip || !spec->ip[0]) {
		write_ip(plan->ip, &address);
		spec->ip = plan->ip[0] ? plan->ip : NULL;
		plan->management.ip = spec->ip;
	}
	return 0;
}
