/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_REQLOG_H
#define REGISTRY_REQLOG_H

#include <stdbool.h>
#include <stdint.h>

struct reqlog {
	int fd; /* -1 is no log */
};
#define REQLOG_NULL      \
	{                \
		.fd = -1 \
	}

struct reqlog_line {
	uint64_t t_ms; /* since the start */
	uint64_t boottime_ms;
	uint64_t connection;
	unsigned int number; /* of the request on its connection, from 1 */
	const char *method;
	const char *target;
	int status;
	int beat_code;          /* 0 is none */
	const char *user_agent; /* or NULL */
	int node;
	int forwarded_to;   /* the node that answered in its place; -1 is none */
	const char *fault;  /* what met the request, or NULL */
	bool authorization; /* the header was there */
};

/* Creates or empties the file. Returns 0 or a negative errno. */
int reqlog_init(struct reqlog *log, const char *path);
void reqlog_deinit(struct reqlog *log);

void reqlog_write(struct reqlog *log, const struct reqlog_line *line);

#endif
