/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_DRY_SPEC_H
#define CONTROL_DRY_SPEC_H

#include "base/descriptor.h"
#include "control/config.h"

/*
 * The instance that "service=orders,port=8080,metadata.zone=a" describes, by the rules of one that a process
 * registers; '\' takes a ',' or '\' as it is. NULL with a sentence.
 */
struct descriptor *dry_spec_parse(const char *spec, char error[CONFIG_ERROR_MAX]);

#endif
