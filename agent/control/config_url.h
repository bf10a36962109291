/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_CONFIG_URL_H
#define CONTROL_CONFIG_URL_H

#include <stddef.h>

#include "control/config.h"

#define CONFIG_URL_HOST_MAX 160u
#define CONFIG_CONTEXT_MAX 128u
#define CONFIG_PORT_DEFAULT 8848

/* The address of a registry, taken apart. */
struct config_url {
	char base[CONFIG_URL_HOST_MAX + 32];  /* "http[s]://host:port" */
	char context[CONFIG_CONTEXT_MAX + 1]; /* "/nacos"; "": the URL has no path */
};

/* 0, or CONFIG_KEY_REFUSED and why: how the sentence "value 'URL' ..." goes on. */
int config_url_parse(const char *text, long default_port, struct config_url *out,
		     char why[CONFIG_ERROR_MAX]);
/* A context path as it is used: "/" and "" are "", no slash at the end. */
int config_url_parse_context(const char *text, char out[CONFIG_CONTEXT_MAX + 1],
			     char why[CONFIG_ERROR_MAX]);

/*
 * For getaddrinfo(): host and port of "http[s]://host:port[/path]", brackets taken off. base is what
 * config_url_parse() made.
 */
void config_url_split(const char *base, char host[CONFIG_URL_HOST_MAX + 1], char port[8]);
/* Of such a base. */
bool config_url_is_tls(const char *base);
/* Whether what is sent there stays on this host. */
bool config_url_is_loopback(const char *base);
/* A host name, and no address. */
bool config_url_is_name(const char *host);

#endif
