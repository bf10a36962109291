/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_MODE_H
#define REGISTRY_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits for tables that say in which modes something exists. */
enum {
	MODE_14 = 1 << 0,
	MODE_2 = 1 << 1,
	MODE_3 = 1 << 2,
	MODE_3_NO_V1 = 1 << 3,
	MODE_32 = 1 << 4,
	MODE_V1 = MODE_14 | MODE_2 | MODE_3,       /* serve the v1 calls that clients need */
	MODE_V3 = MODE_3 | MODE_3_NO_V1 | MODE_32, /* serve v3 */
	MODE_GATES = MODE_3 | MODE_3_NO_V1,        /* refuse older calls with 410 */
	MODE_ALL = MODE_V1 | MODE_V3,
};

struct mode {
	const char *name;       /* as --mode spells it */
	const char *version;    /* that it says it is */
	size_t head_max;        /* bytes of request line and headers */
	uint64_t client_ttl_ms; /* removed after this whatever its metadata says; 0 is never */
	const char *all_ips;    /* spelling of that list field; NULL is the list shape of 1.4 */
	const char *no_user;    /* what a request without a token is told */
	unsigned int bit;
	bool key_has_cluster;     /* an instance is ip:port:cluster, not ip:port */
	bool owner_by_service;    /* a cluster finds an owner by the service, not by ip:port */
	bool one_kind;            /* a service is ephemeral or persistent, never both */
	bool param_check;         /* names, port and metadata are checked before all else */
	bool loses_post_body;     /* parameters in the body of a POST are not seen */
	bool wraps_texts;         /* error texts read "caused: TEXT;", thrown ones are 500 */
	bool post_keeps_health;   /* registering again leaves the health flag as it was */
	bool hides_ill_health;    /* nobody healthy: a list calls everybody healthy */
	bool bad_setting_is_zero; /* a preserved.* time that is no number counts as 0 */
	bool may_exempt;          /* enableClientBeat=true exempts an instance from expiry */
	bool beats_by_json_name;  /* a full beat renews the service that its JSON names */
	bool lists_may_break;     /* by metadata that looks like the server's own */
	bool short_unknown;       /* the 20404 reply lacks lightBeatEnabled */
	bool nan_weight_is_one;
	bool token_header;    /* the header accessToken is looked at */
	bool names_signature; /* a forged token is told apart from an invalid one */
	bool names_endpoint;  /* a 404 says which method and path there is none of */
};

/* Returns NULL when there is no such mode. */
const struct mode *mode_find(const char *name);

/* All names, for messages. */
extern const char mode_names[];

#endif
