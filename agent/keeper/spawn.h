/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_SPAWN_H
#define KEEPER_SPAWN_H

#include <signal.h>
#include <sys/types.h>

#include "base/manifest.h"

/* What an agent is started with. */
struct spawn {
	const char *program;
	char *const *argv;         /* --agent-manifest=FD is put behind argv[0] */
	const sigset_t *mask;      /* signal mask of the new process */
	struct manifest_head head; /* n_entries: of entries */
	const struct manifest_entry
		*entries; /* descriptors stay the caller's; the child inherits them */
};

#define SPAWN_OPTION_MAX 40

/* argv with the option behind argv[0]: a malloc'ed vector, texts not copied; NULL. */
char **spawn_argv(char *const *argv, char *option);
/* Starts it. The child's pid; or a negative errno, also when the program could not be executed. */
pid_t spawn_agent(const struct spawn *s);

#endif
