/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_DRY_RUN_H
#define CONTROL_DRY_RUN_H

#include <stdio.h>

#include "control/config.h"

/*
 * Writes the requests that an instance would cause (dry_spec.h), and sends nothing. 0, or -EINVAL with a sentence.
 * May wait for the resolver, when the instance names no ip.
 */
int dry_run(const struct config *cfg, const char *spec, FILE *out, char error[CONFIG_ERROR_MAX]);

#endif
