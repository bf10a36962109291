/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_REGISTRY_OPTIONS_H
#define HTTP_REGISTRY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum registry_api {
	REGISTRY_API_AUTO, /* v1, and v3 where a server has no v1 */
	REGISTRY_API_V1,
	REGISTRY_API_V3
};

enum registry_beats {
	REGISTRY_BEATS_LIGHT, /* no body; the registry knows the instance or says so */
	REGISTRY_BEATS_FULL   /* the whole instance with every beat */
};

enum registry_route {
	REGISTRY_ROUTE_AUTO,        /* to the responsible node where the members can be known */
	REGISTRY_ROUTE_RESPONSIBLE, /* the same, and said when they cannot be known */
	REGISTRY_ROUTE_ANY          /* to any node */
};

enum registry_tls_version {
	REGISTRY_TLS_1_2,
	REGISTRY_TLS_1_3
};

/* Where a secret is read from, anew with each reload. At most one is set; none: there is no such secret. */
struct registry_secret {
	const char *file;       /* absolute path of a file that is its owner's alone */
	const char *credential; /* name of a systemd credential */
	const char *env;        /* name of a variable */
};

/* Texts may be NULL where nothing is configured, and outlive the sender. */
struct registry_login {
	const char *username;
	struct registry_secret password;
	const char *access_key;
	struct registry_secret secret_key;
	const char *region;            /* signs by the newer form; NULL: by the older one */
	bool allow_plaintext_password; /* over http to other hosts, too */
};

struct registry_tls {
	const char *ca_file;     /* NULL: the system's */
	const char *client_cert; /* PEM files; both or neither */
	const char *client_key;
	const char *server_name; /* NULL: the URL's host */
	enum registry_tls_version min_version;
	bool no_verify; /* takes any certificate for good */
};

/* One registry as it is configured. Numbers: 0 means the default. */
struct sender_registry_options {
	const char *name;
	const char *const *urls; /* "http[s]://host[:port]"; none: endpoint or domain tells them */
	uint32_t n_urls;
	const char *context;      /* "/nacos" or "" */
	const char *namespace_id; /* of instances that name none */
	enum registry_api api;
	enum registry_beats beats;
	enum registry_route route;
	const char *endpoint;          /* URL of a page that lists the servers; NULL: none */
	uint32_t endpoint_interval_ms; /* between two looks at that page */
	const char *domain;            /* URL with one name for all servers; NULL: none */
	const char *snapshot; /* file that keeps the last list of the endpoint; NULL: none */
	const char *proxy;    /* URL; NULL: none, whatever the environment says */
	uint32_t connect_timeout_ms;
	uint32_t request_timeout_ms;  /* one request at one node */
	uint32_t beat_connections;    /* a node */
	uint32_t request_connections; /* a node */
	uint32_t pace_per_second; /* registrations a node, after it lost them; 0: as machine has it */
	bool persistent_keep;     /* persistent instances stay when their process dies */
	struct registry_login login;
	struct registry_tls tls;
};

#endif
