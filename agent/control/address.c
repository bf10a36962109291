/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which address is this host's?
 *
 * Asked for instances that leave ip out. In this order: the configured ip; the first address that
 * the configured interface and network both allow; the source address that the kernel would use
 * towards the registry, which is right on most hosts with several networks, because who can be
 * reached from the registry's side can be reached from its other clients. The kernel is asked by
 * connecting an UDP socket: that looks up the route and sends nothing.
 *
 * IPv4 goes before IPv6, as in the registry's own clients. A loopback address is of use to nobody
 * elsewhere, so it is taken only where the registry itself is on loopback (a laptop, a test), and
 * the log says so. IPv6 link-local addresses mean nothing without their interface and are never
 * taken.
 *
 * Nothing is kept: addresses come and go with networks, so whoever chose one asks again when it
 * matters.
 */
#include "control/address.h"

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/config_url.h"

static void freeifaddrs_p(struct ifaddrs **list)
{
	if (*list)
		freeifaddrs(*list);
}

static void freeaddrinfo_p(struct addrinfo **list)
{
	if (*list)
		freeaddrinfo(*list);
}

/* 0 and the source address of the route to sa, or a negative errno. */
static int source_towards(const struct sockaddr *sa, socklen_t length, struct cidr_address *out)
{
	CLEANUP(close_fdp) int fd = socket(sa->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage own = { 0 };
	socklen_t n = sizeof(own);

	if (fd < 0 || connect(fd, sa, length) < 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &n) < 0)
		return -errno;
	if (!cidr_address_of((struct sockaddr *)&own, out) || !cidr_address_names_host(out))
		return -EADDRNOTAVAIL;
	return 0;
}

/* The same for "http[s]://host:port", by whichever of its addresses has a route. */
static int source_towards_url(const char *url, struct cidr_address *out,
			      char error[CONFIG_ERROR_MAX])
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV };
	CLEANUP(freeaddrinfo_p) struct addrinfo *list = NULL;
	char host[CONFIG_URL_HOST_MAX + 1];
	char port[8];
	int r;

	config_url_split(url, host, port);
	r = getaddrinfo(host, port, &hints, &list);
	if (r != 0) {
		snprintf(error, CONFIG_ERROR_MAX, "the registry's host '%s' has no address: %s",
			 host, gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	r = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = list; a && r != 0; a = a->ai_next)
		r = source_towards(a->ai_addr, a->ai_addrlen, out);
	if (r != 0)
		snprintf(error, CONFIG_ERROR_MAX, "no route to the registry %s: %s", url,
			 strerror(-r));
	return r;
}

/* Towards the first of the registry's addresses that there is a route to. */
static int source_towards_registry(const struct config *cfg, struct cidr_address *out,
				   char error[CONFIG_ERROR_MAX])
{
	const struct config_registry *registry = &cfg->registries[0];
	int r = -EADDRNOTAVAIL;

	snprintf(error, CONFIG_ERROR_MAX, "no registry is configured");
	if (cfg->n_registries == 0)
		return r;
	for (uint32_t i = 0; i < registry->n_urls && r != 0; i++)
		r = source_towards_url(registry->urls[i], out, error);
	if (r != 0 && registry->domain)
		r = source_towards_url(registry->domain, out, error);
	if (r != 0 && registry->endpoint)
		r = source_towards_url(registry->endpoint, out, error);
	return r;
}

static bool registry_is_on_loopback(const struct config *cfg)
{
	struct cidr_address source;
	char error[CONFIG_ERROR_MAX];

	return source_towards_registry(cfg, &source, error) == 0 &&
	       cidr_address_is_loopback(&source);
}

/* IPv4 addresses may carry a label, "eth0:1", in the place of their interface's name. */
static bool is_on_interface(const struct ifaddrs *a, const char *interface)
{
	size_t n = strcspn(a->ifa_name, ":");

	return !interface || (strlen(interface) == n && strncmp(a->ifa_name, interface, n) == 0);
}

/* What of the host's addresses passes interface and network. */
struct choice {
	const char *interface;      /* NULL: any */
	const struct cidr *network; /* NULL: any */
	bool interface_exists;
	bool found;
	bool found_loopback; /* none but loopback ones */
	struct cidr_address best;
};

static void consider(struct choice *c, const struct ifaddrs *a, int family)
{
	struct cidr_address address;
	bool loopback;

	if (c->found || !is_on_interface(a, c->interface))
		return;
	c->interface_exists = true;
	if (!a->ifa_addr || !(a->ifa_flags & IFF_UP) || !cidr_address_of(a->ifa_addr, &address))
		return;
	if (address.family != family || !cidr_address_names_host(&address) ||
	    (c->network && !cidr_contains(c->network, &address)))
		return;
	loopback = cidr_address_is_loopback(&address);
	if (loopback && c->found_loopback)
		return;
	c->best = address;
	c->found = !loopback;
	c->found_loopback = loopback;
}

/* Why none of the host's addresses will do. */
static void tell_none(const struct choice *c, const struct config *cfg,
		      char error[CONFIG_ERROR_MAX])
{
	const char *in = cfg->cidr ? " in " : "";
	const char *network = cfg->cidr ? cfg->cidr : "";

	if (c->interface && !c->interface_exists)
		snprintf(error, CONFIG_ERROR_MAX,
			 "key 'interface': there is no interface '%s' on this host", c->interface);
	else if (c->found_loopback)
		snprintf(
			error, CONFIG_ERROR_MAX,
			"interface '%s'%s%s gives loopback addresses alone, and the registry is on "
			"another host",
			c->interface ? c->interface : "lo", in, network);
	else if (c->interface)
		snprintf(error, CONFIG_ERROR_MAX, "key 'interface': '%s' has no usable address%s%s",
			 c->interface, in, network);
	else
		snprintf(error, CONFIG_ERROR_MAX, "key 'cidr': this host has no address in %s",
			 network);
}

static int choose_by_interface(const struct config *cfg, struct cidr_address *out,
			       char error[CONFIG_ERROR_MAX])
{
	CLEANUP(freeifaddrs_p) struct ifaddrs *list = NULL;
	struct choice c = { .interface = cfg->interface };
	struct cidr network;
	int r;

	if (cfg->cidr) {
		r = cidr_parse(cfg->cidr, &network);
		assert(r == 0);
		c.network = &network;
	}
	if (getifaddrs(&list) < 0) {
		r = -errno;
		snprintf(error, CONFIG_ERROR_MAX, "the host's addresses cannot be listed: %s",
			 strerror(-r));
		return r;
	}
	for (const struct ifaddrs *a = list; a; a = a->ifa_next)
		consider(&c, a, AF_INET);
	for (const struct ifaddrs *a = list; a; a = a->ifa_next)
		consider(&c, a, AF_INET6);
	if (!c.found && !(c.found_loopback && registry_is_on_loopback(cfg))) {
		tell_none(&c, cfg, error);
		return -EADDRNOTAVAIL;
	}
	*out = c.best;
	return 0;
}

int address_choose(const struct config *cfg, char ip[CIDR_TEXT_MAX], char error[CONFIG_ERROR_MAX])
{
	struct cidr_address address;
	int r;

	error[0] = '\0';
	if (cfg->ip) {
		snprintf(ip, CIDR_TEXT_MAX, "%s", cfg->ip);
		return 0;
	}
	if (cfg->interface || cfg->cidr)
		r = choose_by_interface(cfg, &address, error);
	else
		r = source_towards_registry(cfg, &address, error);
	if (r < 0)
		return r;
	error[0] = '\0';
	cidr_address_print(&address, ip);
	if (cidr_address_is_loopback(&address))
		log_warning("address.loopback",
			    "ip=%s next=\"what names no ip can be reached from this host alone\"",
			    ip);
	return 0;
}

bool address_is_local(const char *ip)
{
	CLEANUP(freeifaddrs_p) struct ifaddrs *list = NULL;
	struct cidr_address wanted;
	struct cidr_address own;

	if (!cidr_address_parse(ip, &wanted))
		return false;
	/* The whole of 127.0.0.0/8 is local, though one address of it is listed. */
	if (cidr_address_is_loopback(&wanted) || getifaddrs(&list) < 0)
		return true;
	for (const struct ifaddrs *a = list; a; a = a->ifa_next) {
		if (a->ifa_addr && cidr_address_of(a->ifa_addr, &own) &&
		    cidr_address_equal(&own, &wanted))
			return true;
	}
	return false;
}
