/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which registry an instance belongs to
 *
 * A descriptor names one of those that are configured, or none, which means the first. What it leaves out is
 * filled in here, so that instances are told apart by what their registry will see. Watcher thread only.
 */
#include <stdio.h>
#include <string.h>

#include "segment/state.h"

uint32_t registries_find(const struct watcher *w, const char *name)
{
	uint32_t i = 0;

	if (!name[0])
		return 0;
	while (i < w->options.n_registries && strcmp(w->options.registries[i].name, name) != 0)
		i++;
	return i;
}

static void list_names(const struct watcher *w, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < w->options.n_registries && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s'%s'", i ? ", " : "",
				      w->options.registries[i].name);
}

struct descriptor *registries_complete(const struct watcher *w, const struct descriptor *d,
				       const char *ip, char why[DECODE_WHY_MAX])
{
	uint32_t i = registries_find(w, d->registry);
	char names[DECODE_WHY_MAX / 3]; /* beside the name that is refused, and the words */

	if (i == w->options.n_registries) {
		list_names(w, names, sizeof(names));
		snprintf(why, DECODE_WHY_MAX,
			 "registry '%.32s' is not configured in the agent; it has %s", d->registry,
			 names);
		return NULL;
	}
	return descriptor_with(d, w->options.registries[i].name,
			       d->namespace_id[0] ? NULL : w->options.registries[i].namespace_id,
			       ip, d->enabled);
}
