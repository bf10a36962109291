/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_PROBE_H
#define KEEPER_PROBE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define PROBE_WAIT_MS 10000u
#define PROBE_OPTION "--upgrade-check="
#define PROBE_ANSWER "onebeatd "
#define PROBE_VERSION_MAX 32
#define PROBE_WHY_MAX 256

/* The program that is to take our place, asked whether it can. */
struct probe {
	pid_t pid; /* 0: none runs */
	int out_fd;
	bool late;        /* it was killed */
	struct stat file; /* which file it was */
};

#define PROBE_NULL           \
	{                    \
		.out_fd = -1 \
	}

/* Executes program with argv and what it is to read (closed here). 0 or a negative errno. */
int probe_start(struct probe *p, const char *program, char *const *argv, const sigset_t *mask,
		int state_fd);
/*
 * It has ended (how: from waitpid). True: it is an onebeatd that can take over, and is of that version. False:
 * why not.
 */
bool probe_ended(struct probe *p, int how, char version[PROBE_VERSION_MAX],
		 char why[PROBE_WHY_MAX]);
/* It has had its time. */
void probe_kill(struct probe *p);
/* Is the file still the one that answered? */
bool probe_unchanged(const struct probe *p, const char *program);

#endif
