/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_ADDRESS_H
#define CONTROL_ADDRESS_H

#include <stdbool.h>

#include "base/cidr.h"
#include "control/config.h"

/*
 * The address to register for instances that name none (text without brackets). 0 and "" in error,
 * or a negative errno and a sentence. May wait for the resolver when the registry is given by name
 * and neither ip, interface nor cidr is configured. Any thread.
 */
int address_choose(const struct config *cfg, char ip[CIDR_TEXT_MAX], char error[CONFIG_ERROR_MAX]);

/*
 * Is ip an address of this host at present? True also when the host's addresses cannot be listed.
 * Any thread.
 */
bool address_is_local(const char *ip);

#endif
