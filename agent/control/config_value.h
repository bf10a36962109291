/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_CONFIG_VALUE_H
#define CONTROL_CONFIG_VALUE_H

#include "control/config_key.h"

/* The kinds of value that a key can have. */
extern const struct config_type config_value_path;
extern const struct config_type config_value_level;
extern const struct config_type config_value_address;
extern const struct config_type config_value_interface;
extern const struct config_type config_value_network;
extern const struct config_type config_value_number;
extern const struct config_type config_value_identity;
extern const struct config_type config_value_urls;
extern const struct config_type config_value_context;
extern const struct config_type config_value_namespace;
extern const struct config_type config_value_domain;
extern const struct config_type config_value_endpoint;
extern const struct config_type config_value_proxy;
extern const struct config_type config_value_api;
extern const struct config_type config_value_beats;
extern const struct config_type config_value_route;
extern const struct config_type config_value_persistent;
extern const struct config_type config_value_tls_version;
extern const struct config_type config_value_yes_no;
extern const struct config_type config_value_text;
extern const struct config_type config_value_file;
extern const struct config_type config_value_variable;
extern const struct config_type config_value_credential;
extern const struct config_type config_value_region;
extern const struct config_type config_value_host;
extern const struct config_type config_value_group;
extern const struct config_type config_value_allow;
extern const struct config_type config_value_join;

/* How the sentence about a refused value goes on. Returns CONFIG_KEY_REFUSED. */
__attribute__((format(printf, 2, 3))) int config_refuse(const struct config_setting *s,
							const char *fmt, ...);
/* 0 or -ENOMEM, the text as it was. */
int config_replace_text(char **text, const char *value);
/* print() of a type whose field is a text. */
unsigned int config_print_text(const struct config *cfg, const struct config_key *key, int fd);

#endif
