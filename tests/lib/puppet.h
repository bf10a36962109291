/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_PUPPET_H
#define LIB_PUPPET_H

#include <stdbool.h>
#include <sys/types.h>

#include <onebeat/onebeat.h>

#include "lib/puppet_spec.h"

/*
 * A process that uses the library as it is told, line by line (programs/puppet.c says which lines there
 * are). Each command gives exactly one answer line, "ok ..." or "error CODE TEXT"; CODE is the
 * library's, or 1 for the puppet's own troubles.
 */

#define PUPPET_LISTENERS_MAX 64
#define PUPPET_PAIRS_MAX 4096

struct puppet_name {
	struct puppet_name *next;
	struct onebeat_instance *inst;
	struct puppet_spec spec;
	char name[64];
};

struct puppet {
	struct onebeat *ob;
	char dir[128]; /* runtime folder that open named; empty: none */
	int lease;     /* number of the handle's descriptor when it was last seen; -1: never */
	struct puppet_name *names;
	struct puppet_name *last; /* the one that was registered last */
	int listeners[PUPPET_LISTENERS_MAX];
	int n_listeners;
	int ends[PUPPET_PAIRS_MAX]; /* of socketpairs; neighbours belong together */
	ino_t inodes[PUPPET_PAIRS_MAX];
	int n_ends;
	uid_t worker_uid; /* that the next worker drops to; 0: none */
};

struct puppet_command {
	const char *name;                            /* NULL: the table's end */
	int n_needed;                                /* words that must follow it */
	void (*run)(struct puppet *p, char **words); /* words after the name, NULL at the end */
};

extern const struct puppet_command puppet_instance_commands[];
extern const struct puppet_command puppet_process_commands[];
extern const struct puppet_command puppet_numbers_commands[];
extern const struct puppet_command puppet_fork_commands[];
extern const struct puppet_command puppet_thread_commands[];
extern const struct puppet_command puppet_auto_commands[];

/* From here on commands know inst as name; whose it is does not matter to them. */
void puppet_name_it(struct puppet *p, const char *name, struct onebeat_instance *inst);

/* Does one command, or all that come on stdin. */
void puppet_obey(struct puppet *p, char *line);
void puppet_obey_all(struct puppet *p);
/* For a child that stays: gives up the test's pipes, and dies of itself when the test forgets it. */
void puppet_settle(void);
_Noreturn void puppet_stay(void);

/* The answers. format may be empty. */
void puppet_ok(const char *format, ...) __attribute__((format(printf, 1, 2)));
void puppet_fail(int code);
void puppet_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* ok or error, by a call's result. */
void puppet_result(int code);

/* The value of the word "key=value", or fallback. */
const char *puppet_option(char **words, const char *key, const char *fallback);
/* Notes the descriptor's number, for reuse after it was closed behind the library's back. */
void puppet_note_lease(struct puppet *p);

#endif
