/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_DRY_SPEC_H
#define CONTROL_DRY_SPEC_H

#include <onebeat/onebeat.h>

#include "base/descriptor.h"
#include "control/config.h"

/* One instance, as it goes to each of its registries: a descriptor each. */
struct dry_instance {
	uint32_t n;
	struct descriptor *at[ONEBEAT_REGISTRIES_MAX];
};

/*
 * The instance that "service=orders,port=8080,metadata.zone=a" describes, by the rules of one that a process
 * registers; '\' takes a ',' or '\' as it is, so "registry=a\,b" names two. A negative errno with a sentence;
 * dry_instance_deinit() in any case.
 */
int dry_spec_parse(struct dry_instance *out, const char *spec, char error[CONFIG_ERROR_MAX]);
void dry_instance_deinit(struct dry_instance *instance);

#endif
