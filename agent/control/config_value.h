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
extern const struct config_type config_value_group;
extern const struct config_type config_value_allow;
extern const struct config_type config_value_join;

#endif
