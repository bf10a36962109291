/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_RUN_OPTIONS_H
#define ONEBEAT_RUN_OPTIONS_H

#include <stdbool.h>

#include <onebeat/onebeat.h>

struct run_options {
	struct onebeat_spec spec;
	struct onebeat_metadata metadata[ONEBEAT_METADATA_PAIRS_MAX +
					 1]; /* one over: the library says it is too many */
	const char *runtime_dir;
	unsigned int wait_ms; /* for grant and validation */
	bool keep_going;
	char **command; /* NULL-terminated */
};

enum {
	OPTIONS_OK = 0,
	OPTIONS_DONE = 1, /* --help or --version was answered */
	OPTIONS_WRONG = 2 /* the reason is on stderr */
};

int options_parse(struct run_options *out, int argc, char **argv);

#endif
