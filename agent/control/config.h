/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "segment/allow.h"

#define CONFIG_REGISTRIES_MAX 16u
#define CONFIG_URLS_MAX 32u
#define CONFIG_ENDPOINT_INTERVAL_MS 30000u /* by default */

#define CONFIG_FILE_DEFAULT "/etc/onebeat/onebeatd.conf"
#define CONFIG_RUNTIME_DIR_DEFAULT "/run/onebeat"
#define CONFIG_REGISTRY_NAME_DEFAULT "default"

/* Who said it. A later one replaces what an earlier one said; within one, lists add up. */
enum config_origin {
	CONFIG_BY_DEFAULT,
	CONFIG_BY_FILE,
	CONFIG_BY_ENVIRONMENT,
	CONFIG_BY_COMMAND
};

/* In the order of the values' names in the file. */
enum config_api {
	CONFIG_API_AUTO, /* v1, and v3 where a server has no v1 */
	CONFIG_API_V1,
	CONFIG_API_V3
};

enum config_beats {
	CONFIG_BEATS_LIGHT,
	CONFIG_BEATS_FULL
};

enum config_route {
	CONFIG_ROUTE_AUTO,
	CONFIG_ROUTE_RESPONSIBLE,
	CONFIG_ROUTE_ANY
};

enum config_persistent {
	CONFIG_PERSISTENT_KEEP,
	CONFIG_PERSISTENT_REMOVE
};

enum config_tls_version {
	CONFIG_TLS_1_2,
	CONFIG_TLS_1_3
};

/* Where a secret is to be read; at most one is set. The secret itself is never in here. */
struct config_secret {
	char *file;       /* absolute path */
	char *credential; /* name in $CREDENTIALS_DIRECTORY */
	char *env;        /* name of a variable */
};

/* A text that is not set is NULL. */
struct config_registry {
	char *name;
	char *urls[CONFIG_URLS_MAX]; /* "http[s]://host:port", without a trailing slash */
	uint32_t n_urls;
	const char *context; /* "/nacos", or "": one of the two below */
	char *namespace_id;  /* "public" */
	char *endpoint;      /* "http[s]://host:port/path[?query]" */
	char *domain;        /* "http[s]://host:port" */
	char *proxy;         /* "http://host:port" */
	uint32_t api;        /* enum config_api; so are the enums below kept */
	uint32_t beats;
	uint32_t route;
	uint32_t persistent;
	uint32_t endpoint_interval_ms;
	uint32_t connect_timeout_ms;
	uint32_t request_timeout_ms;
	uint32_t beat_connections;      /* a node; 0: as in struct config */
	uint32_t request_connections;   /* a node; 0: as in struct config */
	uint32_t reregister_per_second; /* a node */
	char *username;
	struct config_secret password;
	char *access_key;
	struct config_secret secret_key;
	char *region;
	bool allow_plaintext_password;
	char *ca_file; /* NULL: the system's */
	char *client_cert;
	char *client_key;
	char *server_name; /* NULL: the URL's host */
	uint32_t tls_min_version;
	bool tls_verify;

	/* config*.c's own */
	char *context_of_url; /* NULL: the URLs have no path */
	char *context_of_key;
	enum config_origin urls_by;
	enum config_origin context_by;
};

struct config {
	struct allow allow;   /* sections [allow NAME] */
	uint32_t allow_shown; /* the one that keys are set in or printed of */
	char *file;           /* NULL: none */
	char *runtime_dir;    /* absolute; NULL: none was found, which config_check() refuses */
	enum log_level log_level;
	char *control_group; /* who may read over control.sock besides us; NULL: our own group */
	struct config_registry registries[CONFIG_REGISTRIES_MAX]; /* sections [registry NAME] */
	uint32_t n_registries;
	uint32_t registry_shown; /* the one that keys are set in or printed of */
	/* The address to register when the client leaves it out. */
	char *ip;                     /* NULL: found by interface, cidr or route */
	char *interface;              /* NULL: any */
	char *cidr;                   /* "10.0.0.0/8"; NULL: any */
	uint32_t slots;               /* a trust domain */
	uint32_t beat_connections;    /* a node */
	uint32_t request_connections; /* a node */
	uint32_t listen_grace_ms;     /* disabled when the port has not listened for so long */
	uint32_t exec_grace_ms;       /* lease lost by an undeclared exec: orphan after this */
	bool force_pidfd_open;        /* behave as on kernels without SO_PEERPIDFD */
	/* What one user may have and do at a time. */
	uint32_t leases;
	uint32_t silent_leases;
	uint32_t hello_timeout_ms;
	uint32_t messages_per_second; /* 0: without limit */
	uint32_t updates_per_second;  /* 0: without limit */
};

#define CONFIG_ERROR_MAX 512

/*
 * Reads defaults, then file (NULL: /etc/onebeat/onebeatd.conf when it is there), then the
 * environment, then what the command line set through config_set(). On error a sentence with file,
 * line, key, value and rule is in error, and -EINVAL (or another negative errno) is returned.
 * Initialises *cfg, also on error.
 */
int config_load(struct config *cfg, const char *file, char error[CONFIG_ERROR_MAX]);
/*
 * One setting by section and key, as the file would have it; where names the origin ("--registry").
 * It stands above file and environment; several calls for [registry] url add up.
 */
int config_set(struct config *cfg, const char *section, const char *key, const char *value,
	       const char *where, char error[CONFIG_ERROR_MAX]);
/* What only the whole can tell: at least one registry URL, runtime folder, contradictions. */
int config_check(const struct config *cfg, char error[CONFIG_ERROR_MAX]);
/* The effective configuration as a file that config_load() would read to the same. */
void config_print(const struct config *cfg, int fd);
/* All keys with range, default and meaning: the part of --help that this module knows. */
void config_help(int fd);
void config_deinit(struct config *cfg);

#endif
