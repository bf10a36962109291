/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that name this host or another: addresses, interfaces, networks, host names
 */
#include "control/config_value.h"

#include <net/if.h>
#include <string.h>

#include "base/cidr.h"
#include "control/config_url.h"

static void *field(const struct config_setting *s)
{
	return config_key_field(s->cfg, s->key);
}

static int set_address(const struct config_setting *s)
{
	struct cidr_address address;
	char text[CIDR_TEXT_MAX];

	if (!cidr_address_parse(s->value, &address))
		return config_refuse(s, "is not a numeric IPv4 or IPv6 address");
	if (!cidr_address_names_host(&address))
		return config_refuse(s, "is not an address at which others can reach this host");
	cidr_address_print(&address, text);
	return config_replace_text(field(s), text);
}

const struct config_type config_value_address = { "ADDRESS", set_address, config_print_text };

static int set_interface(const struct config_setting *s)
{
	size_t n = strlen(s->value);

	if (n == 0 || n >= IF_NAMESIZE || strpbrk(s->value, " \t/:;"))
		return config_refuse(
			s, "is not the name of a network interface (1 to 15 characters, no blank, "
			   "/ : ;)");
	return config_replace_text(field(s), s->value);
}

const struct config_type config_value_interface = { "NAME", set_interface, config_print_text };

static int set_network(const struct config_setting *s)
{
	struct cidr c;

	switch (cidr_parse(s->value, &c)) {
	case 0:
		return config_replace_text(field(s), s->value);
	case CIDR_HOST_BITS:
		return config_refuse(s, "is not a network: it has bits set behind its /%u",
				     c.prefix);
	default:
		return config_refuse(s, "is not a network like 10.0.0.0/8 or fd00::/8");
	}
}

const struct config_type config_value_network = { "NETWORK", set_network, config_print_text };

static int set_host(const struct config_setting *s)
{
	if (!config_url_is_name(s->value))
		return config_refuse(s, "is not a host name");
	return config_replace_text(field(s), s->value);
}

const struct config_type config_value_host = { "HOST", set_host, config_print_text };
