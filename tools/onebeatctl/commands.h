/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEATCTL_COMMANDS_H
#define ONEBEATCTL_COMMANDS_H

#include <stdbool.h>

struct settings {
	const char *runtime_dir; /* NULL: where the agent usually is */
	bool json;
};

struct command {
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
	int (*run)(const struct settings *s, const char *argument); /* exit status */
};

extern const struct command commands[]; /* ended by a NULL name */

#endif
