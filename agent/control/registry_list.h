/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_REGISTRY_LIST_H
#define CONTROL_REGISTRY_LIST_H

#include "control/config.h"
#include "http/registry_options.h"
#include "segment/watcher.h"

#define REGISTRY_SNAPSHOT_MAX 192

/* The configured registries as the threads want them, all in the order of the configuration. */
struct registry_list {
	uint32_t n;
	struct watcher_registry watched[CONFIG_REGISTRIES_MAX];
	struct sender_registry_options sent[CONFIG_REGISTRIES_MAX];
	char snapshots[CONFIG_REGISTRIES_MAX][REGISTRY_SNAPSHOT_MAX];
};

/* Can the secrets of all registries be had? 0, or a negative errno and why. Nothing is kept of them. */
int registry_list_check_secrets(const struct registry_list *list, char error[CONFIG_ERROR_MAX]);

/* Texts stay cfg's; the list must not move. */
void registry_list_fill(struct registry_list *list, const struct config *cfg);

#endif
